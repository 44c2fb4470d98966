"""The tables of a suite's figures, in Markdown."""
from collections import Counter
from statistics import fmean

from runs import METHODS
from summary import summarise, t_interval

PAIRS = [("full", "head"), ("full", "scratch"), ("last", "head")]


def markdown_table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def spread(s, usual_n, decimals=1):
    """'95.1 ± 0.4', and how many seeds where they are not as many as elsewhere."""
    text = f"{s.mean:.{decimals}f}" + (f" ± {s.sd:.{decimals}f}" if s.n > 1 else "")
    return text if s.n == usual_n else f"{text} (n = {s.n})"


def usual_n(table):
    sizes = Counter(len(figures) for method in METHODS for count in table.counts
                    if (figures := table.figures(method, count)))
    return max(sizes, key=lambda n: (sizes[n], n))


def by_method(table, n, value, decimals=1):
    """A row a method, a column a number of photos."""
    rows = []
    for method, name in METHODS.items():
        cells = [table.figures(method, count).values() for count in table.counts]
        if any(cells):
            rows.append([name, *(spread(summarise(map(value, cell)), n, decimals) if cell else "" for cell in cells)])
    return markdown_table(["photos a class", *table.counts], rows)


def scratch_rates(table, n):
    rows = []
    for count in table.counts:
        full = table.figures("full", count)
        for rate in table.rates(count):
            figures = table.figures("scratch", count, rate)
            accuracy = spread(summarise(100 * f.accuracy for f in figures.values()), n)
            best = rate == table.best_rate(count)
            share = [f.seconds / full[seed].seconds for seed, f in figures.items() if seed in full]
            rows.append([count, rate, f"**{accuracy}**" if best else accuracy,
                         f"{fmean(f.epochs for f in figures.values()):.0f}",
                         f"{fmean(f.seconds for f in figures.values()):.1f}", f"{fmean(share):.2f}" if share else ""])
    return markdown_table(["photos a class", "learning rate", "accuracy, %", "epochs", "seconds", "of full's seconds"], rows)


def paired_differences(table):
    rows = []
    for one, other in PAIRS:
        for count in table.counts:
            interval = t_interval([100 * d for d in table.paired(one, other, count)])
            if interval:
                s, low, high = interval
                verdict = "above zero" if low > 0 else "below zero" if high < 0 else "holds zero"
                rows.append([f"{METHODS[one]} − {METHODS[other]}", count, f"{s.mean:+.1f}", f"{low:+.1f} to {high:+.1f}",
                             verdict, str(s.n)])
    return rows and markdown_table(["difference", "photos a class", "mean, points", "95 % interval", "the interval",
                                    "seeds"], rows)


def report(table, title, command, note):
    """The whole page: a Table of figures, what they are of, the command that made them, and how it trained."""
    n = usual_n(table)
    seeds = ", ".join(map(str, table.seeds))
    images = {f.valid_images for f in table.rows.values()}
    parts = [f"# {title}\n", f"`{command}`\n",
             f"Mean ± standard deviation over n = {n} seeds ({seeds}). Below *all* each has photos of its own to train with; "
             f"the same {max(images)} validate everywhere.\n", f"{note}\n", "## Accuracy, %\n",
             by_method(table, n, lambda f: 100 * f.accuracy)]
    if any(table.rates(count) for count in table.counts):
        parts += ["*From scratch* is the best of the learning rates below, chosen on the photos that validate, which "
                  "flatters it. Each got the epochs that should take as long as *full* took with the same photos; the last column "
                  "there says how long they did take.\n"]
    parts += ["## Seconds of the whole run, by the clock\n", by_method(table, n, lambda f: f.seconds),
              "## Seconds of processor time\n", by_method(table, n, lambda f: f.cpu_seconds),
              "## Peak of resident memory, MiB\n", by_method(table, n, lambda f: f.peak_mib, 0)]
    if any(table.figures("knn", count) for count in table.counts):
        parts += ["Nearest neighbours are measured by the linear probe of `--method head`: their seconds and memory are of a "
                  "run of that with one epoch.\n"]
    if any(table.rates(count) for count in table.counts):
        parts += ["## From scratch, for as long as full fine-tuning\n", scratch_rates(table, n)]
    if differences := paired_differences(table):
        parts += ["## Paired differences in accuracy\n",
                  "The same seeds on both sides; Student's t interval of the mean difference.\n", differences]
    return "\n".join(parts)

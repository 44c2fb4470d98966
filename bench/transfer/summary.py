"""Figures over seeds: mean, standard deviation, paired differences with their 95 % t interval, the best rate from scratch."""
import math
import statistics
from dataclasses import dataclass

# 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom (R: qt(0.975, 1:30)). Above 30 the last one serves: a
# little too wide.
T_975 = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
         2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
         2.0452, 2.0423]


@dataclass(frozen=True)
class Summary:
    n: int
    mean: float
    sd: float  # of a sample, divided by n - 1; nan for one value


def summarise(values):
    values = list(values)
    return Summary(len(values), statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan)


def t_interval(differences):
    """(Summary, low, high): the mean of the differences and its 95 % interval; None for fewer than two."""
    if len(differences) < 2:
        return None
    s = summarise(differences)
    half = T_975[min(s.n - 1, len(T_975)) - 1] * s.sd / math.sqrt(s.n)
    return s, s.mean - half, s.mean + half


class Table:
    """Finished runs by method, photos a class and seed; `scratch` is the best of its rates at each number of photos.

    `rows`: {Cell: Figures}, as runs.Results keeps them.
    """

    def __init__(self, rows):
        self.rows = rows
        counts = {cell.count for cell in rows}
        self.counts = sorted(counts, key=lambda count: math.inf if count == "all" else int(count))
        self.seeds = sorted({cell.seed for cell in rows})

    def rates(self, count):
        return sorted({c.rate for c in self.rows if (c.method, c.count) == ("scratch", count)}, key=float)

    def best_rate(self, count):
        """Of those tried from scratch with the most seeds, the one with the highest mean accuracy; "" for none."""
        def merit(rate):
            s = summarise(f.accuracy for f in self.figures("scratch", count, rate).values())
            return s.n, s.mean
        return max(self.rates(count), key=merit, default="")

    def figures(self, method, count, rate=None):
        """{seed: Figures}, in the order of the seeds."""
        if rate is None:
            rate = self.best_rate(count) if method == "scratch" else ""
        found = {c.seed: f for c, f in self.rows.items() if (c.method, c.count, c.rate) == (method, count, rate)}
        return dict(sorted(found.items()))

    def paired(self, one, other, count):
        """The differences in accuracy, `one` minus `other`, of the seeds that both have."""
        a, b = self.figures(one, count), self.figures(other, count)
        return [a[seed].accuracy - b[seed].accuracy for seed in a if seed in b]

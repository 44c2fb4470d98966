"""Peak memory of training the head alone, on networks of growing depth: it should not grow with what is frozen below."""
from report import markdown_table
from runs import Cell, finetune, layers_of, tl_options, write_whole
from subsets import draw_total, link
from summary import summarise

IMAGES = 64  # to train with, and at most to validate with

HEADER = ["network", "layers with weights", "weights, MiB", "peak, MiB", "peak without the weights, MiB", "seconds"]


def row(o, weights, figures):
    """A line of the table; figures: one for each seed."""
    size = weights.stat().st_size / 2 ** 20
    peak = summarise(f.peak_mib for f in figures)
    spread = f" ± {peak.sd:.1f}" if peak.n > 1 else ""
    return [weights.stem, str(len(layers_of(o.tl, weights))), f"{size:.1f}", f"{peak.mean:.1f}{spread}",
            f"{peak.mean - size:.1f}{spread}", f"{summarise(f.seconds for f in figures).mean:.1f}"]


def run(o, photos, results, work):
    """One epoch of each network's head for each seed; writes table.md."""
    link(work, draw_total(photos.train, IMAGES), draw_total(photos.valid, IMAGES))
    rows = []
    for weights in o.weights:
        for seed in o.seeds:
            cell = Cell("head", weights.stem, seed)
            if cell not in results.rows:
                results.add(cell, finetune(o.tl, tl_options(o, weights), cell, work, 1))
        rows.append(row(o, weights, [results.rows[Cell("head", weights.stem, seed)] for seed in o.seeds]))
        print(", ".join(f"{name} {value}" for name, value in zip(HEADER, rows[-1])), flush=True)
    some = next(iter(results.rows.values()))
    text = (f"# Memory of training the head alone, {o.folder.resolve().name}, {o.size} px\n\nOne epoch, {some.train_images} "
            f"photos to train with and {some.valid_images} to validate; mean ± standard deviation over n = {len(o.seeds)} "
            "seeds. The weights count with the size of their file.\n\n")
    write_whole(o.out / "table.md", text + markdown_table(HEADER, rows))
    print(f"written: {o.out / 'table.md'}")

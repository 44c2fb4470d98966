"""Accuracy and seconds against the number of photos a class, as an SVG: a line a method, its mean, bars of ± one deviation.

Colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/), without the yellow, which is faint on white.
"""
import html
import math
from dataclasses import dataclass
from typing import Callable

from runs import METHODS
from summary import summarise

COLOURS = {"scratch": "#000000", "head": "#e69f00", "last": "#56b4e9", "full": "#0072b2", "softmax": "#009e73",
           "svm": "#d55e00", "ridge": "#cc79a7", "knn": "#7f7f7f"}
FEATURES = ("softmax", "svm", "ridge", "knn")  # dashed, with squares: nothing is trained by steps
WIDTH, HEIGHT, TOP, BOTTOM = 1150, 560, 96, 500
SPACING = 17  # of labels, at least


@dataclass
class Panel:
    left: float
    right: float
    ticks: list  # of the vertical axis, upward
    scale: Callable  # of values, before they are put between the ends of the axis

    def y(self, value):
        low, high = self.scale(self.ticks[0]), self.scale(self.ticks[-1])
        share = (self.scale(min(max(value, self.ticks[0]), self.ticks[-1])) - low) / (high - low)
        return BOTTOM - (BOTTOM - TOP) * share

    def x(self, index, count):
        step = (self.right - self.left) / count
        return self.left + step * (index + 0.5)


def text(x, y, words, anchor="middle", size=13, colour="#222", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{more}>'
            f"{html.escape(words)}</text>")


def line(x1, y1, x2, y2, colour, width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def axes(panel, counts, title, unit):
    parts = [text(panel.left, TOP - 16, title, "start", 14, more=' font-weight="bold"')]
    for tick in panel.ticks:
        parts += [line(panel.left, panel.y(tick), panel.right, panel.y(tick), "#e2e2e2"),
                  text(panel.left - 8, panel.y(tick) + 4.5, f"{tick:g}{unit}", "end", colour="#444")]
    for i, count in enumerate(counts):
        parts.append(text(panel.x(i, len(counts)), BOTTOM + 20, count, colour="#444"))
    parts += [line(panel.left, BOTTOM, panel.right, BOTTOM, "#888"),
              text((panel.left + panel.right) / 2, BOTTOM + 42, "labelled photos a class")]
    return parts


def marker(x, y, method):
    colour = COLOURS[method]
    if method in FEATURES:
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="white" stroke="{colour}" stroke-width="2"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def curve(panel, method, points, offset, positions):
    """Line, bars and marks of {index on the axis: Summary}."""
    colour = COLOURS[method]
    dash = ' stroke-dasharray="6 4"' if method in FEATURES else ""
    places = [(panel.x(i, positions) + offset, s) for i, s in points.items()]
    path = " ".join(f"{x:.1f},{panel.y(s.mean):.1f}" for x, s in places)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>']
    for x, s in places:
        if s.n > 1:
            low, high = panel.y(s.mean - s.sd), panel.y(s.mean + s.sd)
            parts += [line(x, low, x, high, colour, 1.3), line(x - 3, low, x + 3, low, colour, 1.3),
                      line(x - 3, high, x + 3, high, colour, 1.3)]
    return parts + [marker(x, panel.y(s.mean), method) for x, s in places]


def labels(panel, ends):
    """A name beside the end of each curve, none upon another; ends: [(y, x of the last point, method, words)]."""
    heights = [y for y, *_ in sorted(ends)]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + SPACING)
    overflow = max(0, heights[-1] - BOTTOM)
    for i in reversed(range(len(heights))):  # what was pushed below the axis goes up again, and others with it
        heights[i] = min(heights[i], heights[-1] - overflow - SPACING * (len(heights) - 1 - i))
    parts = []
    for (y, x, method, words), height in zip(sorted(ends), heights):
        start = panel.right + 14
        parts += [f'<path d="M{x + 6:.1f} {y:.1f}L{panel.right:.1f} {y:.1f}L{start:.1f} {height:.1f}" fill="none" '
                  f'stroke="{COLOURS[method]}" stroke-width="0.8" opacity="0.6"/>',
                  marker(start + 6, height, method), text(start + 16, height + 4.5, words, "start")]
    return parts


def draw(panel, table, value, title, unit):
    counts = table.counts
    methods = [m for m in METHODS if any(table.figures(m, count) for count in counts)]
    parts = axes(panel, counts, title, unit)
    step = min(6.0, 0.6 * (panel.right - panel.left) / len(counts) / len(methods))
    ends = []
    for i, method in enumerate(methods):
        points = {j: summarise(map(value, figures.values())) for j, count in enumerate(counts)
                  if (figures := table.figures(method, count))}
        offset = step * (i - (len(methods) - 1) / 2)
        parts += curve(panel, method, points, offset, len(counts))
        last, s = list(points.items())[-1]
        ends.append((panel.y(s.mean), panel.x(last, len(counts)) + offset, method,
                     f"{METHODS[method]}  {s.mean:.1f}{unit}"))
    return parts + labels(panel, ends)


def extent(table, value):
    """(lowest, highest) of all means and bars."""
    all_ = [summarise(map(value, figures.values())) for method in METHODS for count in table.counts
            if (figures := table.figures(method, count))]
    reach = [(s.mean, s.sd if s.n > 1 else 0) for s in all_]
    return min(mean - sd for mean, sd in reach), max(mean + sd for mean, sd in reach)


def accuracy_axis(table):
    """Stretched towards 100 %, where good methods differ: by the logarithm of the error and two points more."""
    low, _ = extent(table, lambda f: 100 * f.accuracy)
    ticks = [0, 20, 40, 60, 70, 80, 85, 90, 92, 94, 96, 98, 100]
    lowest = max(tick for tick in ticks[:-5] if tick <= max(low, 0))
    return Panel(70, 420, [tick for tick in ticks if tick >= lowest], lambda percent: -math.log(102 - percent))


def seconds_axis(table):
    low, high = min(f.seconds for f in table.rows.values()), extent(table, lambda f: f.seconds)[1]
    marks = [m * 10 ** e for e in range(-2, 6) for m in (1, 2, 5)]
    first = max((i for i, m in enumerate(marks) if m <= low), default=0)
    last = min((i for i, m in enumerate(marks) if m >= high), default=len(marks) - 1)
    return Panel(680, 930, marks[first:max(last, first + 1) + 1], math.log)


def chart(table, title):
    """The picture of a Table, as text."""
    seeds = ", ".join(map(str, table.seeds))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" role="img" '
             f'aria-label="{html.escape(title)}">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(24, 32, title, "start", 18, more=' font-weight="bold"'),
             text(24, 53, f"mean and standard deviation over seeds {seeds}; dashed: a classifier on features computed once",
                  "start", colour="#555")]
    parts += draw(accuracy_axis(table), table, lambda f: 100 * f.accuracy,
                  "Accuracy on the photos held out (stretched upward)", " %")
    parts += draw(seconds_axis(table), table, lambda f: f.seconds, "Time of the whole run", " s")
    return "\n".join([*parts, "</svg>"]) + "\n"

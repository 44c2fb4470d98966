#!/usr/bin/env python3
"""Draws validation accuracy by epoch as an SVG, from the figures that `tl finetune --json-out` writes.

usage: plot_curves.py OUT.svg TITLE LABEL=FILE.json...
"""
import html
import json
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 780, 400, 60, 210, 50, 50
COLOURS = ["#1b6ca8", "#c2571a", "#3d8c40", "#7b4ea3"]


def text(x, y, words, anchor="middle", size=14, colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
            f"{html.escape(words)}</text>")


def main():
    out, title, *series = sys.argv[1:]
    curves = []
    for entry in series:
        label, file = entry.split("=", 1)
        with open(file) as source:
            curves.append((label, [100 * epoch["valid_accuracy"] for epoch in json.load(source)["epochs"]]))
    epochs = max(len(values) for _, values in curves)

    def place(epoch, percent):
        x = LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(1, epochs - 1)
        return x, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * percent / 100

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             f'role="img" aria-label="{html.escape(title)}">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', text(WIDTH / 2, 28, title, size=17)]
    for percent in range(0, 101, 20):
        y = place(1, percent)[1]
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(LEFT - 8, y + 5, f"{percent} %", "end"))
    for epoch in range(1, epochs + 1):
        if epochs <= 15 or epoch % 5 == 0:
            parts.append(text(place(epoch, 0)[0], HEIGHT - BOTTOM + 20, str(epoch)))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "epoch"))
    names = []
    for (label, values), colour in zip(curves, COLOURS):
        points = [place(i + 1, value) for i, value in enumerate(values)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        names.append((points[-1][1] + 5, f"{label}, {values[-1]:.1f} %", colour))
    lowest = 0
    for y, words, colour in sorted(names):  # each beside the end of its curve, and below the name before it
        lowest = max(y, lowest + 18)
        parts.append(text(WIDTH - RIGHT + 12, lowest, words, "start", colour=colour))
    parts.append("</svg>")
    with open(out, "w") as target:
        target.write("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Draws the pictures of docs/kernels.md: gemm_blocking.svg and winograd_tiles.svg in the current folder."""
from pathlib import Path

BLUE, ORANGE, GREEN, GRAY = "#1b6ca8", "#e8a05c", "#6fae72", "#ddd"


class Picture:
    def __init__(self, width, height, title):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                      f'font-family="sans-serif" role="img" aria-label="{title}">',
                      f'<rect width="{width}" height="{height}" fill="white"/>']

    def box(self, x, y, width, height, fill="none", stroke="#222", thick=1):
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}" stroke="{stroke}" '
                          f'stroke-width="{thick}"/>')

    def grid(self, x, y, columns, rows, cell, fill="none", stroke="#999"):
        for row in range(rows):
            for column in range(columns):
                self.box(x + column * cell, y + row * cell, cell, cell, fill, stroke, 0.7)

    def text(self, x, y, words, size=14, anchor="middle", colour="#222"):
        self.parts.append(f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{words}</text>')

    def arrow(self, x1, y1, x2, y2):
        self.parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2 - 7}" y2="{y2}" stroke="#222" stroke-width="1.5"/>')
        self.parts.append(f'<path d="M{x2},{y2} l-8,-4 v8 z" fill="#222"/>')

    def save(self, name):
        Path(name).write_text("\n".join([*self.parts, "</svg>"]) + "\n")


def gemm_blocking():
    p = Picture(850, 430, "The blocks of a matrix product: rows of A times panels of B in registers")
    # A, rows of the image under the kernel
    p.text(120, 30, "A: output positions x K", 15)
    p.box(30, 130, 180, 260, "#f6f6f6")
    p.box(30, 190, 90, 56, ORANGE)
    p.text(75, 223, "14 rows")
    p.text(75, 408, "256 of K", 13)
    p.text(165, 408, "...", 13)
    p.text(120, 60, "copied from the image,", 12)
    p.text(120, 76, "one block at a time:", 12)
    p.text(120, 92, "fits the first cache", 12)
    # B, packed weights
    p.text(450, 30, "B: K x outputs, packed once", 15)
    p.box(290, 50, 320, 120, "#f6f6f6")
    for i in range(5):
        p.box(290 + 64 * i, 50, 64, 120, BLUE if i == 1 else "none")
    p.text(386, 105, "panel:", 13, colour="white")
    p.text(386, 122, "32 wide", 13, colour="white")
    # C
    p.text(450, 200, "C: output positions x outputs", 15)
    p.box(290, 215, 320, 200, "#f6f6f6")
    p.box(354, 265, 64, 56, GREEN)
    p.text(386, 290, "14 x 32 in", 10)
    p.text(386, 305, "28 registers", 10)
    p.arrow(214, 218, 286, 290)
    # the innermost loop
    p.text(735, 60, "for each k:", 14)
    p.grid(650, 80, 2, 1, 60, BLUE, "white")
    p.text(710, 158, "two vectors of B", 12)
    p.grid(650, 180, 1, 7, 14, ORANGE, "white")
    p.text(676, 235, "x", 16)
    p.grid(690, 180, 2, 7, 14, GREEN, "white")
    p.text(745, 300, "each element of A, broadcast,", 12)
    p.text(745, 316, "times both vectors, added", 12)
    p.text(745, 332, "to a row of sums", 12)
    p.save("gemm_blocking.svg")


def winograd_tiles():
    p = Picture(820, 380, "Winograd F(4x4,3x3): 6x6 inputs, 36 products a pair of channels, 4x4 outputs")
    p.text(110, 30, "image, tiles of 6 x 6", 15)
    p.grid(40, 60, 10, 10, 14)
    p.box(40, 60, 84, 84, "rgba(232,160,92,.55)", "#c2571a", 2)
    p.box(96, 60, 84, 84, "rgba(27,108,168,.35)", BLUE, 2)
    p.text(110, 225, "neighbours share two columns", 12)
    p.arrow(190, 120, 262, 120)
    p.text(226, 108, "BᵀdB", 13)
    p.text(390, 30, "36 planes", 15)
    for i in range(6):
        p.box(280 + 9 * i, 55 + 9 * i, 120, 70, "#fbe6d2", "#c2571a")
    p.text(385, 140, "tiles x channels", 12)
    p.text(390, 190, "each plane: a matrix product", 12)
    p.text(390, 206, "with its plane of the weights", 12)
    p.text(390, 250, "weights: G g Gᵀ, 36 planes", 13)
    for i in range(6):
        p.box(300 + 9 * i, 265 + 9 * i, 122, 56, "#d5e5f2", BLUE)
    p.text(406, 345, "channels x outputs", 12)
    p.arrow(470, 120, 542, 120)
    p.text(505, 108, "AᵀmA", 13)
    p.text(660, 30, "outputs, tiles of 4 x 4", 15)
    p.grid(580, 60, 8, 8, 18)
    p.box(580, 60, 72, 72, "rgba(232,160,92,.55)", "#c2571a", 2)
    p.box(652, 60, 72, 72, "rgba(27,108,168,.35)", BLUE, 2)
    p.text(652, 235, "16 outputs for 36 products", 13)
    p.text(652, 253, "where the sum takes 144", 13)
    p.save("winograd_tiles.svg")


gemm_blocking()
winograd_tiles()

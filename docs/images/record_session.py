#!/usr/bin/env python3
"""Runs `tl` in a terminal of its own and draws what stands there in the end, as an SVG whose text can be selected.

The photos are those of the main job: birds, mammals and flowers of Debian's package tuxpaint-stamps-default, with
weights/resnet_small.onnx. Figures are those of the machine it runs on.

usage: record_session.py TL OUT.svg
"""
import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

STAMPS = Path("/usr/share/tuxpaint/stamps")
CLASSES = {"birds": "animals/birds", "mammals": "animals/mammals", "flowers": "plants/flowers"}
COMMANDS = ["tl finetune animals", "tl predict animals.onnx 'animals/*/d*.png' --top 2"]
COLUMNS, LETTER, LINE, MARGIN, BAR = 80, 8.43, 19, 18, 34


def run(command, folder, program):
    """What a command writes to a terminal."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, COLUMNS, 0, 0))
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                               stdout=other_end, stderr=other_end)
    os.close(other_end)
    written = b""
    try:
        while part := os.read(terminal, 65536):
            written += part
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(terminal)
    if process.wait() != 0:
        sys.exit(f"record_session: '{command}' failed:\n{written.decode(errors='replace')}")
    return written.decode()


def screen(written):
    """The lines that a terminal shows: a return goes to the begin of a line, ESC [ K clears what follows."""
    lines, at = [""], 0
    for token in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+", written):
        if token == "\r":
            at = 0
        elif token == "\n":
            lines.append("")
            at = 0
        elif token == "\x1b[K":
            lines[-1] = lines[-1][:at]
        else:
            lines[-1] = lines[-1][:at] + token + lines[-1][at + len(token):]
            at += len(token)
    return lines if lines[-1] else lines[:-1]


def rows(line):
    """A line as wide as the terminal or, broken, several."""
    return [line[i:i + COLUMNS] for i in range(0, len(line), COLUMNS)] or [""]


def svg(session):
    width, lines = 2 * MARGIN + COLUMNS * LETTER, []
    for command, output in session:
        lines.append(f'<tspan class="prompt">$</tspan> <tspan class="typed">{html.escape(command)}</tspan>')
        lines += [html.escape(row) for line in screen(output) for row in rows(line)] + [""]
    lines.pop()
    height = BAR + MARGIN + len(lines) * LINE
    label = "A terminal: " + "; ".join(command for command, _ in session)
    text = "\n".join(f'<text x="{MARGIN}" y="{BAR + LINE * (i + 1) - 5}">{line}</text>'
                     for i, line in enumerate(lines) if line)
    dots = "".join(f'<circle cx="{MARGIN + 18 * i}" cy="17" r="5" fill="#5a6370"/>' for i in range(3))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{html.escape(label)}">
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d5dae1; white-space: pre; }}
.prompt {{ fill: #7fd08a; }}
.typed {{ fill: #ffffff; font-weight: bold; }}
</style>
<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1}" rx="9" fill="#1f242b" stroke="#5a6370"/>
{dots}
{text}
</svg>
"""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().rsplit("\n", 1)[-1])
    program, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    if not (STAMPS / "animals/birds").is_dir():
        sys.exit("record_session: no photos: install Debian's package tuxpaint-stamps-default")
    with tempfile.TemporaryDirectory() as folder:
        for name, place in CLASSES.items():
            (Path(folder) / "animals").mkdir(exist_ok=True)
            (Path(folder) / "animals" / name).symlink_to(STAMPS / place)
        session = [(command, run(command, folder, program)) for command in COMMANDS]
    out.write_text(svg(session))


if __name__ == "__main__":
    main()

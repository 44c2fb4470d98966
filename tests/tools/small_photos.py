"""Small pictures for the tests of bench/transfer, which is put on the path."""
import struct
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "transfer"))


def png(side, colour):
    """A picture of one colour, with stripes."""
    rows = b"".join(b"\0" + b"".join(bytes(c // (1 + (x + y) % 2) for c in colour) for x in range(side)) for y in range(side))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + name + data +
                                           struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)


def make_photos(root, classes, number, side=2):
    """So many photos of each class, no two alike."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(number):
            colour = [30 + 3 * i] * 3
            colour[c] += 100
            (root / name / f"{i:02}.png").write_bytes(png(side, colour))


class Temporary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.photos = self.folder / "photos"

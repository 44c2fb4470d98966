#!/usr/bin/env python3
"""Makes the fixtures of the data tests with Pillow (13 or later): small image files with the pixels Pillow
reads from them (.ppm), and hashes of what Pillow's resize and ImageEnhance give on hash-filled images.

usage: python3 make_fixtures.py      needs Pillow and numpy; writes fixtures/ beside this file
"""
import hashlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))
from hash_fill import hash_values

OUT = Path(__file__).parent / "fixtures"
FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def hashed(name, height, width):
    """The image of bytes floor(128 (u + 1)) that the tests make from the same hash."""
    values = np.floor((hash_values(name, height * width * 3) + 1) * 128).astype(np.uint8)
    return Image.fromarray(values.reshape(height, width, 3))


def picture(height, width):
    """Something with the smoothness of a photo and a few edges; not symmetric in any way."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    red = 255 * x / width
    green = 127 + 120 * np.sin(y / 3) * np.cos(x / 5)
    blue = np.where((x - width * 0.3) ** 2 + (y - height * 0.6) ** 2 < (height / 4) ** 2, 230, 40 + 2 * y)
    return Image.fromarray(np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8))


def on_white(image):
    """RGB; transparency composited on white."""
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    return image.convert("RGB")


def store(name, data, pixels=None):
    """The file and the pixels expected from it: Pillow's, unless they are given."""
    (OUT / name).write_bytes(data)
    if pixels is None:
        pixels = on_white(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    pixels.save((OUT / name).with_suffix(".ppm"))


def saved(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def without_segment(jpeg, marker):
    """A JPEG without its first segment of this marker."""
    at = 2
    while jpeg[at + 1] != marker:
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2:at + 4], "big"):]


def jpegs():
    image = picture(21, 34)
    for name, options in {
            "jpeg_444": {"subsampling": 0}, "jpeg_422": {"subsampling": 1}, "jpeg_420": {"subsampling": 2},
            "jpeg_420_progressive": {"subsampling": 2, "progressive": True},
            "jpeg_restart": {"subsampling": 2, "restart_marker_blocks": 2},
            "jpeg_rgb": {"keep_rgb": True}}.items():
        store(name + ".jpg", saved(image, "JPEG", quality=90, **options))
    store("jpeg_gray.jpg", saved(image.convert("L"), "JPEG", quality=90))
    store("jpeg_gray_progressive.jpg", saved(image.convert("L"), "JPEG", quality=90, progressive=True))

    cmyk = Image.merge("CMYK", [*image.split(), image.convert("L").point(lambda v: v // 2)])
    adobe = saved(cmyk, "JPEG", quality=95)
    store("jpeg_cmyk.jpg", adobe)
    store("jpeg_cmyk_without_adobe.jpg", without_segment(adobe, 0xEE))
    at = adobe.index(b"Adobe") + 11
    store("jpeg_ycck.jpg", adobe[:at] + b"\2" + adobe[at + 1:])

    small = picture(9, 14)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010E] = "a fixture"
        store(f"exif_{orientation}.jpg", saved(small, "JPEG", quality=95, subsampling=0, exif=exif))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(height, width, depth, colour, rows, interlaced=0, extra=b""):
    """A PNG from raw scan lines, for kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) + chunk(b"IEND", b""))


def pngs():
    image = picture(11, 18)
    pixels = np.asarray(image)
    alpha = Image.fromarray(np.mgrid[0:11, 0:18].sum(0).astype(np.uint8) * 9)
    rgba, gray = image.copy(), image.convert("L")
    rgba.putalpha(alpha)
    store("png_rgb.png", saved(image, "PNG"))
    store("png_rgba.png", saved(rgba, "PNG"))
    store("png_gray.png", saved(gray, "PNG"))
    store("png_gray_alpha.png", saved(Image.merge("LA", [gray, alpha]), "PNG"))
    store("png_1bit.png", saved(image.convert("1"), "PNG"))
    palette = image.quantize(13)
    store("png_palette.png", saved(palette, "PNG"))
    store("png_palette_alpha.png", saved(palette, "PNG", transparency=bytes([0, 100, 200, 255])))
    store("png_rgb_key.png", saved(image, "PNG", transparency=tuple(int(v) for v in pixels[3, 4])))
    exif = Image.Exif()
    exif[0x0112] = 6
    store("png_exif.png", saved(image, "PNG", exif=exif))
    # 16 bits: the upper byte counts. The lower ones differ, so that a mistake shows.
    wide = (pixels.astype(np.uint16) * 256 + pixels[::-1]).astype(">u2")
    store("png_rgb16.png", png(11, 18, 16, 2, [row.tobytes() for row in wide]), image)
    store("png_gray16.png", png(11, 18, 16, 0, [row.tobytes() for row in wide[..., 1]]),
          Image.fromarray(np.repeat(pixels[..., 1:2], 3, 2)))
    # Adam7: seven passes, each from (first row, first column) in steps of (rows, columns).
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [row.tobytes() for y, x, dy, dx in passes for row in pixels[y::dy, x::dx]]
    store("png_interlaced.png", png(11, 18, 8, 2, rows, interlaced=1), image)


def bmp(width, height, bits, rows):
    """An uncompressed BMP; a negative height means rows from the top."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 2835, 2835, 0, 0)
    body = b"".join(rows)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + head + body


def bmps():
    image = picture(7, 10)
    pixels = np.asarray(image)
    store("bmp_rgb.bmp", saved(image, "BMP"))
    store("bmp_palette.bmp", saved(image.quantize(16), "BMP"))
    store("bmp_1bit.bmp", saved(image.convert("1"), "BMP"))
    bgr = pixels[..., ::-1]
    store("bmp_top_down.bmp", bmp(10, -7, 24, [row.tobytes() + b"\0\0" for row in bgr]), image)
    # The fourth byte of 32-bit pixels means nothing here; it must not become transparency.
    noise = np.arange(70, dtype=np.uint8).reshape(7, 10, 1) * 3
    store("bmp_32bit.bmp", bmp(10, 7, 32, [row.tobytes() for row in np.concatenate([bgr, noise], 2)[::-1]]), image)


def sha(image):
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def resizes():
    """Lines: name, height, width, output height and width, filter, box, start of the SHA-256 of the pixels."""
    rng = np.random.default_rng(20)
    sizes = [(1, 1, 5, 7), (7, 5, 1, 1), (16, 16, 16, 16), (16, 16, 16, 9), (16, 16, 9, 16), (33, 47, 24, 24),
             (47, 33, 24, 24), (64, 48, 31, 23), (20, 30, 61, 91), (90, 10, 20, 10), (90, 12, 20, 9), (3, 200, 2, 11)]
    sizes += [tuple(int(v) for v in np.exp(rng.uniform(0, 4.6, 4))) for _ in range(60)]
    with open(OUT / "resize.txt", "w") as out:
        for i, (height, width, to_height, to_width) in enumerate(sizes):
            image = hashed(f"resize {i}", height, width)
            boxes = [(0, 0, width, height)]
            left, right = sorted(int(v) for v in rng.integers(0, width + 1, 2))
            top, bottom = sorted(int(v) for v in rng.integers(0, height + 1, 2))
            if left < right and top < bottom:
                boxes.append((left, top, right, bottom))
            boxes.append(tuple(round(v * 64) / 64 for v in (width * .13, height * .21, width * .77, height * .93)))
            for box in boxes:
                for name, kind in FILTERS.items():
                    result = image.resize((to_width, to_height), kind, box=box)
                    print(i, height, width, to_height, to_width, name, *box, sha(result), file=out)


def centre(image, height, width):
    """torchvision.transforms.CenterCrop."""
    w, h = image.size
    if width > w or height > h:
        left, top = max(0, (width - w) // 2), max(0, (height - h) // 2)
        padded = Image.new("RGB", (max(w, width), max(h, height)))
        padded.paste(image, (left, top))
        image, (w, h) = padded, padded.size
    top, left = int(round((h - height) / 2.0)), int(round((w - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def preprocessings():
    """Lines: name, height, width, spec, output height and width, start of the SHA-256 of the pixels."""
    cases = [(40, 60, 32, (28, 28), "bilinear"), (60, 40, 32, (28, 28), "bicubic"), (41, 67, 32, (29, 27), "bicubic"),
             (50, 50, 20, (24, 24), "bilinear"), (30, 90, 20, (24, 24), "bilinear"), (90, 30, 20, (23, 17), "bicubic"),
             (33, 35, 35, (10, 11), "nearest"), (12, 80, 9, None, "bicubic"), (21, 20, None, (30, 11), "bilinear"),
             (37, 53, (20, 31), None, "bicubic"), (37, 53, (21, 30), (16, 40), "bilinear"), (16, 16, None, None, "bilinear")]
    with open(OUT / "preprocess.txt", "w") as out:
        for i, (height, width, size, crop, kind) in enumerate(cases):
            image, spec = hashed(f"preprocess {i}", height, width), [kind]
            if isinstance(size, tuple):
                spec.append(f"resize={size[0]}x{size[1]}")
                image = image.resize(size[::-1], FILTERS[kind])
            elif size:
                spec.append(f"resize={size}")
                short = min(height, width)
                image = image.resize((int(size * width / short), int(size * height / short)), FILTERS[kind])
            if crop:
                spec.append(f"crop={crop[0]}x{crop[1]}")
                image = centre(image, *crop)
            print(i, height, width, ",".join(spec), image.height, image.width, sha(image), file=out)


def enhancements():
    """Lines: kind, factor, start of the SHA-256 of the pixels of the 20 x 30 image "enhance"."""
    image = hashed("enhance", 20, 30)
    kinds = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}
    with open(OUT / "enhance.txt", "w") as out:
        for name, kind in kinds.items():
            for factor in (0.0, 0.25, 0.8125, 1.0, 1.1875, 1.9375):
                print(name, factor, sha(kind(image).enhance(factor)), file=out)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for make in (jpegs, pngs, bmps, resizes, preprocessings, enhancements):
        make()

"""Which photos train and which validate: photos held out for good, and small sets of the others, drawn by a seed.

Draws follow the SHA-256 of (seed, class, path), and not a random generator: the same on every machine and Python, a larger
set holds the smaller ones, and a photo more or less moves no other.
"""
import hashlib
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp"}  # those that tl reads
HELD_OUT = 0.2  # of a class, where the folder does not set valid/ apart


@dataclass(frozen=True)
class Photo:
    label: str
    name: str  # its path below the class's folder
    path: Path
    digest: str  # of its bytes


@dataclass
class Photos:
    train: list
    valid: list
    notes: list

    def classes(self):
        return sorted({photo.label for photo in self.train})

    def fingerprint(self):
        lines = [f"{side} {photo.label}/{photo.name} {photo.digest}" for side in ("train", "valid")
                 for photo in getattr(self, side)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_of(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def place(seed, photo):
    """Where the photo stands in the order of a draw."""
    return hashlib.sha256(f"{seed}\0{photo.label}\0{photo.name}".encode()).digest()


def read_classes(root):
    """The photos of a folder with one folder a class, sorted; hidden files are left out, as tl does."""
    photos = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.suffix.lower() in EXTENSIONS and path.is_file() and not any(p.startswith(".") for p in name.parts):
                photos.append(Photo(folder.name, name.as_posix(), path.resolve(), digest_of(path)))
    return photos


def hold_out(photos):
    """(train, valid): a fifth of each class validates, the same for every seed; equal files stay on one side."""
    equal = {}
    for photo in photos:
        equal.setdefault(photo.digest, []).append(photo)
    wanted = {label: HELD_OUT * number for label, number in Counter(photo.label for photo in photos).items()}
    taken = set()
    for photo in sorted(photos, key=lambda photo: place("held out", photo)):
        group = equal[photo.digest]
        # A group counts for each of its photos' classes, and is taken whole or not at all.
        if photo.digest not in taken and all(wanted[other.label] >= 0.5 for other in group):
            taken.add(photo.digest)
            for other in group:
                wanted[other.label] -= 1
    return [p for p in photos if p.digest not in taken], [p for p in photos if p.digest in taken]


def read(root):
    """The photos of ROOT/train and ROOT/valid (or val), or of ROOT with a part held out. Throws ValueError."""
    if not root.is_dir():
        raise ValueError(f"expected a folder of photos, got '{root}'")
    notes = []
    set_apart = next((root / name for name in ("valid", "val") if (root / name).is_dir()), None)
    if (root / "train").is_dir() and set_apart:
        train, valid = read_classes(root / "train"), read_classes(set_apart)
        known = {photo.digest for photo in valid}
        doubled = sum(photo.digest in known for photo in train)
        train = [photo for photo in train if photo.digest not in known]
        if doubled:
            notes.append(f"{doubled} photos to train with are in {set_apart.name}/ too, byte for byte: left out")
    else:
        train, valid = hold_out(read_classes(root))
        notes.append(f"{len(valid)} of {len(train) + len(valid)} photos are held out, the same for every seed")
    labels = {photo.label for photo in train}
    if len(labels) < 2 or not valid or not {photo.label for photo in valid} <= labels:
        raise ValueError(f"expected photos of two classes at least in '{root}', one folder a class, and some of these "
                         f"classes to validate; got {len(train)} of {len(labels)} classes to train, {len(valid)} to validate")
    return Photos(train, valid, notes)


def draw(photos, seed, count):
    """`count` photos of each class, or all it has; count None: all."""
    chosen = {}
    for photo in sorted(photos, key=lambda photo: place(seed, photo)):
        of_class = chosen.setdefault(photo.label, [])
        if count is None or len(of_class) < count:
            of_class.append(photo)
    return [photo for label in sorted(chosen) for photo in chosen[label]]


def draw_total(photos, total):
    """So many photos in all, the classes in turn."""
    ranks = Counter()
    order = []
    for photo in sorted(photos, key=lambda photo: place("total", photo)):
        order.append((ranks[photo.label], photo.label, photo))
        ranks[photo.label] += 1
    return [photo for _, _, photo in sorted(order, key=lambda entry: entry[:2])[:total]]


def link(folder, train, valid):
    """Makes FOLDER/train and FOLDER/valid anew, of symbolic links, which tl follows."""
    shutil.rmtree(folder, ignore_errors=True)
    for side, photos in (("train", train), ("valid", valid)):
        for photo in photos:
            target = folder / side / photo.label / photo.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(photo.path)
    return folder

#!/usr/bin/env python3
"""Brings the pages together for MkDocs: the Markdown files of the project, with links to each other as they are, and a page
for every source file that one of them links to.

usage: stage.py ROOT FOLDER      writes FOLDER/mkdocs.yml and FOLDER/pages/
"""
import json
import os
import re
import shutil
import sys
from pathlib import Path

# Where a page of the repository stands in the site.
MOVED = {"README.md": "index.md", "docs/README.md": "contents.md"}
OTHERS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "weights/README.md", "tests/fuzz/README.md"]
NAV = [
    ("Home", ["README.md"]),
    ("Start", ["docs/README.md", "docs/start.md", "docs/program.md", "docs/report.md", "docs/text.md", "weights/README.md"]),
    ("How to", ["docs/how-to/README.md", "docs/how-to/*.md"]),
    ("Course", ["docs/course/README.md", "docs/course/*.md"]),
    ("Reference", ["docs/file-formats.md", "docs/environment.md", "docs/several-machines.md", "docs/benchmarks.md",
                   "docs/conformance.md", "docs/reliability.md"]),
    ("Inside", ["docs/architecture.md", "docs/kernels.md", "docs/add-an-operation.md", "CONTRIBUTING.md", "docs/roadmap.md",
                "tests/fuzz/README.md", "SECURITY.md", "CHANGELOG.md"]),
]
LINK = re.compile(r"(?P<head>!?\[[^\]]*\]\()(?P<target>(?!\w+:|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^ *<!-- .*? -->\n| <!-- .*? -->", re.MULTILINE)  # of tests/tools/check_*.py
INDENT = re.compile(r"^ {2,3}(?=\S)", re.MULTILINE)  # what belongs to an item of a list; MkDocs wants four
LANGUAGE = {".hpp": "cpp", ".inl": "cpp", ".cpp": "cpp", ".py": "python", ".sh": "bash", ".txt": "cmake", ".yml": "yaml"}


def title(page):
    for line in page.read_text().splitlines():
        if line.startswith("# "):
            return line[2:].replace("`", "")
    return page.stem


class Stage:
    def __init__(self, root, folder):
        self.root, self.pages = root, folder / "pages"
        self.sources = {}  # a file or folder of the repository, by the page that shows it

    def place(self, name):
        """Of a Markdown file of the repository, in the site."""
        return MOVED.get(name, name.removeprefix("docs/"))

    def target(self, link, page):
        """What a link of a page leads to, as a path in the site."""
        name = os.path.normpath(os.path.join(os.path.dirname(page), link))
        if not (self.root / name).exists():
            sys.exit(f"{page}: the link to {link} leads nowhere")
        if name in OTHERS or (name.startswith("docs/") and not (self.root / name).is_dir()):
            return self.place(name)
        shown = f"source/{name}.md"
        self.sources[shown] = name
        return shown

    def rewritten(self, text, page):
        here = os.path.dirname(self.place(page)) or "."

        def link(match):
            return f"{match['head']}{os.path.relpath(self.target(match['target'], page), here)}{match['anchor'] or ''})"

        def prose(text):
            return INDENT.sub(4 * " ", LINK.sub(link, MARK.sub("", text)))

        pieces, at = [], 0  # code stays as it is
        for fence in FENCE.finditer(text):
            pieces += [prose(text[at:fence.start()]), fence[0]]
            at = fence.end()
        return "".join(pieces) + prose(text[at:])

    def write(self, name, text):
        path = self.pages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_source(self, shown, name):
        path = self.root / name
        if path.is_dir():
            files = sorted(p.name + "/" * p.is_dir() for p in path.iterdir() if not p.name.startswith((".", "__")))
            text = "".join(f"- `{file}`\n" for file in files)
        else:
            text = f"````{LANGUAGE.get(path.suffix, 'text')}\n{path.read_text()}````\n"
        self.write(shown, f"---\nsearch:\n  exclude: true\n---\n# {name}\n\n{text}")


def main(root, folder):
    root, folder = Path(root).resolve(), Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage(root, folder)
    names = OTHERS + [str(p.relative_to(root)) for p in sorted((root / "docs").rglob("*.md"))]
    for name in names:
        stage.write(stage.place(name), stage.rewritten((root / name).read_text(), name))
    for shown, name in sorted(stage.sources.items()):
        stage.write_source(shown, name)
    for picture in sorted((root / "docs" / "images").rglob("*")):
        if picture.suffix in (".svg", ".png"):
            place = stage.pages / picture.relative_to(root / "docs")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, place)
    stage.write("assets/iframe-worker.js", (root / "docs/site/iframe-worker.js").read_text())
    nav, shown = [], set()
    for section, patterns in NAV:
        files = []
        for pattern in patterns:
            for name in sorted(str(p.relative_to(root)) for p in root.glob(pattern)):
                if name not in shown:
                    shown.add(name)
                    files.append({title(root / name): stage.place(name)})
        if len(files) == 1:
            nav.append({section: next(iter(files[0].values()))})
        elif files:
            nav.append({section: files})
    if shutil.which("doxygen"):  # which build.sh runs after this
        nav.append({"Headers": "reference/index.html"})
    playground = root / "build" / "playground.html"  # what examples/playground/build.sh writes
    if playground.exists():
        shutil.copyfile(playground, stage.pages / "playground.html")
        nav.append({"Playground": "playground.html"})
    if missing := sorted(set(names) - shown):
        sys.exit(f"not in the navigation of the site: {', '.join(missing)}")
    config = {
        "site_name": "tl", "docs_dir": "pages", "use_directory_urls": False, "nav": nav,
        "theme": {"name": "material", "font": False, "language": "en",
                  "features": ["navigation.tabs", "navigation.top", "navigation.footer", "content.code.copy", "toc.follow"],
                  "icon": {"logo": "material/paw"},
                  "palette": [
                      {"media": "(prefers-color-scheme: light)", "scheme": "default", "primary": "teal",
                       "toggle": {"icon": "material/weather-night", "name": "dark"}},
                      {"media": "(prefers-color-scheme: dark)", "scheme": "slate", "primary": "teal",
                       "toggle": {"icon": "material/weather-sunny", "name": "light"}}]},
        "plugins": ["search", "offline"],
        "extra": {"generator": False, "polyfills": ["assets/iframe-worker.js"]},
        "markdown_extensions": ["tables", "attr_list", {"toc": {"permalink": True}},
                                {"pymdownx.highlight": {"guess_lang": False}}, "pymdownx.superfences"],
        "validation": {"nav": {"omitted_files": "info", "not_found": "info"},
                       "links": {"not_found": "warn", "anchors": "warn", "unrecognized_links": "warn"}},
    }
    (folder / "mkdocs.yml").write_text(json.dumps(config, indent=1))  # JSON is YAML


if __name__ == "__main__":
    main(*sys.argv[1:])

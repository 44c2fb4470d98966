#!/usr/bin/env python3
"""Uses the playground as a person would, in a browser: photos of some things into the page, learn, try other photos, download.

usage: check_playground.py PAGE.html PHOTOS [THING...] [--each 10] [--screenshots FOLDER]

PHOTOS holds one folder a thing (default: its first three); the first --each of each are learned from, as many next ones
are tried. The page must have learned
in under 60 seconds, be right for 90 % of the others, say nothing on the console, fetch nothing, and give a model that --tl PROGRAM
(build/bin/tl) reads and that answers as the page did. Needs Chromium (Debian's `chromium`).
"""
import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browser import Browser, find_chromium
from check_site import said

ROOT = Path(__file__).resolve().parents[2]
SECONDS, SHARE = 60, 0.9


def put_files(browser, selector, files):
    """What choosing files in the dialog does."""
    document = browser.ask("DOM.getDocument")["root"]["nodeId"]
    node = browser.ask("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
    browser.ask("DOM.setFileInputFiles", nodeId=node, files=[str(f) for f in files])


def wait_for(browser, script, seconds, what):
    end = time.monotonic() + seconds
    while not browser.evaluate(script):
        if time.monotonic() > end:
            sys.exit(f"{what} took more than {seconds} s; the page says: {browser.evaluate(SAID)}")
        time.sleep(0.1)


SAID = "document.getElementById('said').textContent"


def use(browser, page, things, each, screenshots, work):
    browser.size(1280)
    browser.open(page.resolve().as_uri())
    wait_for(browser, f"{SAID}.includes('ready')", 60, "opening the network")
    for _ in things[2:]:
        browser.evaluate("document.getElementById('more').click(), 0")
    for i, (name, files) in enumerate(things):
        box = f"#classes > div:nth-child({i + 1})"
        browser.evaluate(f"(e => {{ e.value = {json.dumps(name)}; e.dispatchEvent(new Event('input')); }})"
                         f"(document.querySelector('{box} input[type=text]')), 0")
        put_files(browser, f"{box} input[type=file]", files[:each])
        wait_for(browser, f"document.querySelectorAll('{box} canvas').length === {each}", 60, f"reading photos of {name}")
    begin = time.monotonic()
    browser.evaluate("document.getElementById('learn').click(), 0")
    wait_for(browser, f"/learned|error/.test({SAID}) || document.querySelector('.error') !== null", 300, "learning")
    seconds = time.monotonic() - begin
    print(f"{browser.evaluate(SAID)} (measured from outside: {seconds:.1f} s)")
    answers, right, tried = [], 0, 0
    for name, files in things:
        put_files(browser, "#try", files[each:2 * each])
        tried += len(files[each:2 * each])
        wait_for(browser, f"document.querySelectorAll('.answer').length === {tried}", 120, "trying photos")
        given = json.loads(browser.evaluate("JSON.stringify([...document.querySelectorAll('.answer')].map(e => e.dataset.answer))"))
        given = given[:len(files[each:2 * each])][::-1]
        answers += list(zip(files[each:2 * each], given))
        right += given.count(name)
    print(f"right for {right} of {tried} other photos")
    for form, width in (("wide", 1280), ("phone", 390)):
        browser.size(width)
        if browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") > 0:
            sys.exit(f"{form}: the page is wider than the window")
        if screenshots:
            screenshots.mkdir(parents=True, exist_ok=True)
            browser.screenshot(screenshots / f"playground-{form}.png")
    # The file, as the page would hand it to the disk.
    model = work / "model.onnx"
    model.write_bytes(base64.b64decode(browser.evaluate(
        "(() => { check(wasm._tl_file()); const b = answer(); let s = ''; for (let i = 0; i < b.length; i += 32768) "
        "s += String.fromCharCode(...b.subarray(i, i + 32768)); return btoa(s); })()")))
    return seconds, right / tried, answers, model


def same_elsewhere(tl, model, answers):
    """How many photos the program gives the page's answer for, with the downloaded file."""
    told = json.loads(subprocess.run([tl, "predict", model, *(str(f) for f, _ in answers), "--json"], check=True,
                                     capture_output=True, text=True).stdout)
    return sum(image["classes"][0]["label"] == answer for image, (_, answer) in zip(told["images"], answers))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("things", nargs="*")
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--tl", type=Path, default=ROOT / "build" / "bin" / "tl")
    o = parser.parse_args()
    program = find_chromium()
    if program is None:
        print("skipped: check_playground.py needs Chromium (Debian: apt-get install chromium)")
        return 0
    if not o.photos.is_dir():
        print(f"skipped: check_playground.py needs photos in {o.photos}")
        return 0
    o.things = o.things or sorted(folder.name for folder in o.photos.iterdir() if folder.is_dir())[:3]
    things = [(name, sorted((o.photos / name).iterdir())) for name in o.things]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        browser = Browser(program, work)
        try:
            seconds, share, answers, model = use(browser, o.page, things, o.each, o.screenshots, Path(work))
            findings = list(said(browser.events, o.page.resolve().as_uri()))
        finally:
            browser.close()
        same = same_elsewhere(o.tl, model, answers)
    print(f"{o.tl.name} predict with the downloaded file: the page's answer for {same} of {len(answers)}")
    if seconds > SECONDS:
        findings.append(f"learning took {seconds:.1f} s")
    if share < SHARE:
        findings.append(f"right for {100 * share:.0f} % of the other photos")
    if same < 0.9 * len(answers):  # the page makes large photos smaller first
        findings.append("the downloaded file answers otherwise")
    print("\n".join(findings) or "playground: nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

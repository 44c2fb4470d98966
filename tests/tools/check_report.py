#!/usr/bin/env python3
"""Opens a report of `tl finetune --report` in a browser and holds that it is drawn, readable and loads nothing.

usage: check_report.py REPORT.html [--screenshots FOLDER]
       check_report.py --tl PROGRAM      makes a small report first

Needs Chromium (Debian's `chromium`); without it one line says that the check was skipped.
"""
import argparse
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import Browser, find_chromium
from small_photos import ROOT, make_photos

SECTIONS = ["course", "classes", "confusion", "calibration", "losses", "attention", "augmented", "probe", "frozen", "run"]
WIDTHS = {"wide": 1280, "phone": 390}
NAMES = ["<script>alert(1)&\"'", "plain", "café"]  # of the classes of the small report

# What the page says of itself: boxes, and what a screen reader needs.
INSPECT = """(() => {
  const drawn = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0; };
  const all = selector => [...document.querySelectorAll(selector)];
  const named = e => (e.getAttribute('aria-labelledby') || '').split(' ').every(id => document.getElementById(id)?.textContent);
  const ids = all('[id]').map(e => e.id);
  const finding = (ok, text) => ok ? [] : [text];
  return JSON.stringify({
    sections: Object.fromEntries(all('section').map(s => [s.id, drawn(s) && drawn(s.querySelector('h2'))])),
    pictures: all('img').length, charts: all('svg').length, tables: all('table').length,
    text: document.body.innerText,
    findings: [].concat(
      finding(document.documentElement.lang === 'en', 'the page does not name its language'),
      finding(document.title && all('h1').length === 1, 'the page has no title or not one h1'),
      finding(!document.querySelector('script, iframe, object, embed, form'), 'there is a script or an embedded page'),
      finding(new Set(ids).size === ids.length, 'two elements have one id'),
      finding(document.documentElement.scrollWidth <= document.documentElement.clientWidth, 'the page is wider than the window: ' +
              document.documentElement.scrollWidth + ' pixels'),
      ...all('img').map(e => finding(e.complete && e.naturalWidth > 0 && drawn(e), 'a picture is not drawn: ' + e.alt)),
      ...all('img').map(e => finding(e.alt, 'a picture has no alternative text')),
      ...all('svg').map(e => finding(drawn(e) && e.getAttribute('role') === 'img' && e.querySelector('title') &&
                                     e.querySelector('desc') && named(e), 'a chart is not drawn or not described')),
      ...all('svg text').filter(e => e.getBoundingClientRect().height < 8).map(e => 'small text: ' + e.textContent),
      ...all('table').map(e => finding(e.caption?.textContent && [...e.querySelectorAll('th')].every(h => h.scope),
                                       'a table has no caption or a heading no scope')),
      ...all('a').map(e => finding(document.getElementById(e.getAttribute('href').slice(1)),
                                   'a link leads nowhere: ' + e.getAttribute('href')))),
  });
})()"""


def complaints(events, url):
    """What the console said, and what was fetched beside the page."""
    for event in events:
        parameters = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if address != url and not address.startswith("data:"):
                yield f"it fetches {address[:100]}"
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            yield "the browser says: " + parameters["entry"]["text"]
        elif event["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
            yield f"a script has run: {event['method']}"


def check(report, screenshots, program, names):
    url = report.resolve().as_uri()
    findings = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            browser.size(WIDTHS["wide"])
            browser.open(url)
            for name, width in WIDTHS.items():
                browser.size(width)
                page = json.loads(browser.evaluate(INSPECT))
                findings += [f"{name}: {text}" for text in page["findings"]]
                findings += [f"{name}: section {s} is missing or not drawn" for s in SECTIONS if not page["sections"].get(s)]
                findings += [f"{name}: no class {n}" for n in names if n not in page["text"]]
                if screenshots:
                    browser.screenshot(screenshots / f"{name}.png")
                    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
                    browser.screenshot(screenshots / f"{name}-dark.png")
                    browser.ask("Emulation.setEmulatedMedia", features=[])
            if screenshots:
                pdf = browser.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
                (screenshots / "print.pdf").write_bytes(base64.b64decode(pdf["data"]))
            findings += complaints(browser.events, url)
        finally:
            browser.close()
    print(f"report: {page['pictures']} pictures, {page['charts']} charts, {page['tables']} tables, "
          f"{report.stat().st_size / 1e6:.2f} MB")
    return findings


def small_report(tl, folder):
    """A report on pictures of a few colours, with names of classes that a page must not take for markup."""
    make_photos(folder / "photos", NAMES, 12, side=32)
    report = folder / "report.html"
    subprocess.run([tl, "finetune", folder / "photos", "--weights", ROOT / "weights" / "resnet_small.onnx", "--size", "32",
                    "--method", "last:2", "--epochs", "2", "--batch", "8", "--threads", "1", "--out", folder / "out.onnx",
                    "--report", report], check=True, stdout=subprocess.DEVNULL)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, nargs="?")
    parser.add_argument("--tl", type=Path, help="the program, to make a small report")
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the page, and for it on paper")
    options = parser.parse_args()
    if (options.report is None) == (options.tl is None):
        parser.error("expected a report, or --tl")
    program = find_chromium()
    if program is None:
        print("skipped: check_report.py needs Chromium (Debian: apt-get install chromium)")
        return 0
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report = options.report or small_report(options.tl, Path(folder))
        findings = check(report, options.screenshots, program, [] if options.report else NAMES)
    print("\n".join(findings) or "report: nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

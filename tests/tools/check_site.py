#!/usr/bin/env python3
"""Opens every page of the documentation's site in a browser, wide and as on a phone: nothing is said on the console, nothing is
fetched from elsewhere, every picture is drawn, every link leads to a page and a place in it, some link leads to every page, and no
page is wider than the window. Of the reference of the headers, whose form is Doxygen's, every tenth page is opened, wide.

usage: check_site.py SITE [--screenshots FOLDER]      SITE is what docs/site/build.sh wrote

Needs Chromium (Debian's `chromium`); without it one line says that the check was skipped.
"""
import argparse
import json
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from browser import Browser, find_chromium

WIDTHS = {"wide": 1280, "phone": 390}
INSPECT = """(() => {
  const all = selector => [...document.querySelectorAll(selector)];
  return JSON.stringify({
    links: all('a[href]').map(a => a.href),
    ids: all('[id]').map(e => e.id),
    swallowed: all('article p').map(e => e.textContent).filter(text => /\\n(\\d+\\.|-) /.test(text)),
    undrawn: all('article img').filter(e => !(e.complete && e.naturalWidth > 0)).map(e => e.src),
    unnamed: all('article img').filter(e => !e.alt).map(e => e.src),
    headings: all('h1').length, title: document.title,
    excess: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  });
})()"""


def said(events, site):
    """What the console said, and what was fetched from elsewhere."""
    for event in events:
        parameters = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if not address.startswith((site, "data:", "blob:")):
                yield f"it fetches {address[:100]}"
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            yield "the browser says: " + parameters["entry"]["text"]
        elif event["method"] == "Runtime.exceptionThrown":
            yield "a script fails: " + parameters["exceptionDetails"]["text"]
        elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            yield "the console says: " + str(parameters["args"][:1])[:200]


def check_search(browser, base):
    """A word that stands in a page is found, without a server."""
    browser.size(WIDTHS["wide"])
    browser.events.clear()
    browser.open(base + "index.html?q=checkpoint")
    browser.evaluate("document.querySelector('[data-md-component=search-query]').focus(), 0")
    for _ in range(100):
        found = browser.evaluate("document.querySelectorAll('.md-search-result__item').length")
        if found:
            print(f"site: the search finds {found} pages with 'checkpoint'")
            return []
        time.sleep(0.1)
    return ["the search finds nothing"]


def check(site, screenshots, program):
    base = site.resolve().as_uri() + "/"
    pages = [p for p in sorted(site.rglob("*.html")) if "reference" not in p.relative_to(site).parts and p.name != "404.html"]
    ids, links, findings = {}, [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            for page in pages:
                name = str(page.relative_to(site))
                for form, width in WIDTHS.items():
                    browser.size(width)
                    browser.events.clear()
                    browser.open(page.resolve().as_uri())
                    told = json.loads(browser.evaluate(INSPECT))
                    where = f"{name}, {form}"
                    findings += [f"{where}: {text}" for text in said(browser.events, base)]
                    findings += [f"{where}: a picture is not drawn: {p}" for p in told["undrawn"]]
                    findings += [f"{where}: a picture has no alternative text: {p}" for p in told["unnamed"]]
                    findings += [f"{where}: a paragraph swallowed an item of a list: {p[:60]}" for p in told["swallowed"]]
                    if told["headings"] != 1 or not told["title"]:
                        findings.append(f"{where}: {told['headings']} headings h1, title '{told['title']}'")
                    if told["excess"] > 0:
                        findings.append(f"{where}: {told['excess']} pixels wider than the window")
                    if screenshots:
                        browser.screenshot(screenshots / f"{name.replace('/', '-')}-{form}.png")
                ids[page.resolve()] = set(told["ids"])
                links += [(name, link) for link in told["links"]]
            findings += check_search(browser, base)
            for page in sorted((site / "reference").glob("*.html"))[::10]:
                browser.events.clear()
                browser.open(page.resolve().as_uri())
                findings += [f"reference/{page.name}: {text}" for text in said(browser.events, base)]
        finally:
            browser.close()
    outside, led = set(), {(site / "index.html").resolve()}
    for name, link in links:
        address = urllib.parse.urlsplit(link)
        if address.scheme in ("http", "https"):
            outside.add(link)
        elif address.scheme == "file":
            file, place = Path(urllib.parse.unquote(address.path)), urllib.parse.unquote(address.fragment)
            if file.is_dir():
                file = file / "index.html"
            led.add(file)
            if not file.exists():
                findings.append(f"{name}: a link leads nowhere: {link.removeprefix(base)}")
            elif place and file in ids and place not in ids[file]:
                findings.append(f"{name}: there is no #{place} in {file.name}")
    reference = [p for p in [site / "reference" / "index.html"] if p.exists()]
    findings += [f"{p.relative_to(site)}: no link leads to it" for p in pages + reference if p.resolve() not in led]
    print(f"site: {len(pages)} pages, {len(links)} links, {len(outside)} places elsewhere")
    return sorted(set(findings))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of every page")
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        parser.error(f"there is no site in '{options.site}': bash docs/site/build.sh makes one")
    program = find_chromium()
    if program is None:
        print("skipped: check_site.py needs Chromium (Debian: apt-get install chromium)")
        return 0
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    findings = check(options.site, options.screenshots, program)
    print("\n".join(findings) or "site: nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

"""Open every page of the built site in Chromium, wide and narrow, by day and by night, and say what is wrong.

    python tests/browser/check_pages.py _build/html [--shots DIR] [--only TEXT]

One line a finding; exit status 1 if there is any. It looks for: requests to other hosts, or for files that are not
there; errors on the console; pages, formulas, pictures, tables or boxes wider than the place they have; text of too
little contrast; formulas that are not typeset. The browser is $CHROMIUM, or /usr/bin/chromium.
"""

import argparse
import functools
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, Request, Response, sync_playwright

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
CONTRAST = 4.5  # WCAG 2, level AA, ordinary text
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

TYPESET = "() => window.MathJax?.startup?.promise?.then(() => 1) ?? 1"
SETTLED = """
() => document.fonts.ready.then(
  () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1)))))
"""
OVERFLOWS = r"""
() => {
  const found = [];
  const path = (node) => {
    const parts = [];
    for (let n = node; n && n !== document.body && parts.length < 4; n = n.parentElement) {
      const classes = [...n.classList].slice(0, 2).map((c) => "." + CSS.escape(c)).join("");
      parts.unshift(n.localName + (n.id ? "#" + n.id : classes));
      if (n.id) break;
    }
    return parts.join(" > ");
  };
  const visible = (n) => {
    const box = n.getBoundingClientRect();
    if (!box.width || !box.height) return false;
    return n.checkVisibility ? n.checkVisibility({visibilityProperty: true}) : true;
  };
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth)
    found.push(["page", page.scrollWidth - page.clientWidth, ""]);
  const article = document.querySelector(".bd-article-container") || document.querySelector("main");
  if (!article) return [["page has no article", 0, ""]];
  const room = (node) => {                               // left and right edge of the column
    const column = node.closest("article.bd-article") || article;
    const [box, style] = [column.getBoundingClientRect(), getComputedStyle(column)];
    return [box.left + parseFloat(style.paddingLeft), box.right - parseFloat(style.paddingRight)];
  };
  // The innermost box that limits an element: one that clips or scrolls, else the article itself.
  const limits = (node) => {
    let [left, right] = room(node);
    for (let n = node.parentElement; n && article.contains(n); n = n.parentElement) {
      if (getComputedStyle(n).overflowX !== "visible") {
        const box = n.getBoundingClientRect();
        right = Math.min(right, box.left + n.clientLeft + n.clientWidth);
        left = Math.max(left, box.left + n.clientLeft);
      }
    }
    return [left, right];
  };
  const watched = "mjx-container, img, svg, table, figure, pre, div.admonition, div.math, blockquote, dl, ul, ol, p, h1, h2, h3";
  for (const node of article.querySelectorAll(watched)) {
    if (!visible(node) || node.closest("mjx-assistive-mml, .sr-only, .visually-hidden")) continue;
    if (node.localName === "svg" && node.closest("mjx-container")) continue;
    const inCode = node.closest("div.highlight, div.output, div.cell_output pre");
    if (inCode && node.localName === "pre") {
      const box = inCode.getBoundingClientRect();        // code may scroll inside its own box ...
      const over = box.right - room(node)[1];
      if (over > 1.5) found.push([path(node), over, node.textContent]);
      continue;                                          // ... as long as the box stays in the page
    }
    const drawn = node.localName === "mjx-container" && node.querySelector("mjx-math, svg");
    const box = (drawn || node).getBoundingClientRect();
    const [left, right] = limits(node);
    const over = Math.max(box.right - right, left - box.left);
    if (over > 1.5) found.push([path(node), over, node.localName === "mjx-container" ? node.textContent : ""]);
    else if (node.matches("div.math, table, div.admonition, figure") && node.scrollWidth > node.clientWidth + 1.5
             && getComputedStyle(node).overflowX !== "visible")
      found.push([path(node), node.scrollWidth - node.clientWidth, node.textContent]);
  }
  // A formula and its number must not lie on each other.
  for (const number of article.querySelectorAll("span.eqno")) {
    const formula = number.parentElement.querySelector("mjx-container mjx-math");
    if (!formula) continue;
    const a = number.getBoundingClientRect(), b = formula.getBoundingClientRect();
    const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (over > 1 && tall > 1) found.push(["number over formula " + path(number.parentElement), over, ""]);
  }
  return found.map(([where, px, text]) => [where, Math.round(px), text.replace(/\s+/g, " ").trim().slice(0, 60)]);
}
"""

CONTRASTS = r"""
(least) => {
  const found = [];
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const colours = new Map();
  const rgba = (text) => {
    if (!colours.has(text)) colours.set(text, draw(text));
    return [...colours.get(text)];
  };
  const draw = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const remember = (f) => {
    const known = new Map();
    const get = (node) => known.has(node) ? known.get(node) : known.set(node, f(node, get)).get(node);
    return get;
  };
  const background = remember((node, get) => {
    if (!node) return [255, 255, 255];
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, get(node.parentElement));
  });
  const luminance = (c) => {
    const [r, g, b] = c.map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = remember(
    (node, get) => node ? parseFloat(getComputedStyle(node).opacity) * get(node.parentElement) : 1);
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node || node.closest("script, style, noscript, mjx-container, .headerlink, svg")) continue;
    if (node.closest("dialog:not([open]), [hidden], .visually-hidden, .sr-only, .skip-link, #pst-skip-link")) continue;
    if (node.checkVisibility && !node.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    const style = getComputedStyle(node);
    const back = background(node);
    const colour = rgba(style.color);
    colour[3] *= opacity(node);
    const [a, b] = [luminance(over(colour, back)), luminance(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio >= least) continue;
    const key = style.color + back + node.localName + node.className;
    if (seen.has(key)) continue;
    seen.add(key);
    const where = node.localName + [...node.classList].slice(0, 2).map((c) => "." + c).join("");
    found.push([where, Math.round(ratio * 100) / 100, text.data.trim().slice(0, 40)]);
  }
  return found;
}
"""

MATHS = """
() => [...document.querySelectorAll("mjx-merror, [data-mjx-error]")]
        .map((node) => "formula in error: " + (node.dataset.mjxError || node.textContent).slice(0, 80))
  .concat([...document.querySelectorAll("article .math")]
        .filter((node) => !node.querySelector("mjx-container"))
        .map((node) => "formula not typeset: " + node.textContent.trim().slice(0, 80)))
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and is silent when the browser hangs up early."""

    def log_message(self, *args: object) -> None:
        pass

    def copyfile(self, source, outputfile) -> None:
        with suppress(ConnectionError):
            super().copyfile(source, outputfile)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free loopback port; gives the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def pages_of(site: Path) -> list[str]:
    """Addresses of all pages, without pages that only lead to another."""
    found = []
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        text = path.read_text(encoding="utf-8", errors="replace")
        if (
            not name.startswith(("_static/", "_sources/"))
            and 'http-equiv="refresh"' not in text.lower()
        ):
            found.append(name)
    return found


def look_at(page: Page, name: str, home: str, shots: Path | None) -> list[str]:
    """Load one page, by day and then by night, and return what is wrong with it."""
    width = page.viewport_size["width"]
    findings: list[str] = []
    theme = THEMES[0]

    def note(text: str) -> None:
        findings.append(f"{name} [{width} {theme}] {text}")

    def on_request(request: Request) -> None:
        if not request.url.startswith((home, "data:", "blob:", "about:")):
            note(f"asks another host: {request.url}")

    def on_response(response: Response) -> None:
        if response.status >= 400:
            note(f"status {response.status}: {response.url.removeprefix(home)}")

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            note(f"console error: {message.text[:160]}")

    listeners = {
        "request": on_request,
        "response": on_response,
        "console": on_console,
        "pageerror": lambda error: note(f"script error: {str(error)[:160]}"),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    try:
        page.emulate_media(color_scheme=theme)
        page.goto(f"{home}/{name}", wait_until="load")
        page.add_style_tag(content="*, ::before, ::after { transition: none !important }")
        page.evaluate(TYPESET)
        for theme in THEMES:  # the theme of the page follows the system's
            page.emulate_media(color_scheme=theme)
            page.wait_for_function(f"() => document.documentElement.dataset.theme === {theme!r}")
            page.evaluate(SETTLED)
            for text in page.evaluate(MATHS):
                note(text)
            for where, px, text in page.evaluate(OVERFLOWS):
                note(f"{px} px too wide: {where}" + (f" “{text}”" if text else ""))
            for where, ratio, text in page.evaluate(CONTRASTS, CONTRAST):
                note(f"contrast {ratio}: {where} “{text}”")
            if shots:
                stem = name.removesuffix(".html").replace("/", "_")
                page.screenshot(path=shots / f"{stem}-{width}-{theme}.png", full_page=True)
    finally:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
    return list(dict.fromkeys(findings))


def check(site: Path, shots: Path | None = None, only: str = "") -> int:
    """Look at every page of `site`; print the findings and return how many there are."""
    names = [name for name in pages_of(site) if only in name]
    if not names:
        print(f"{site}: no page{f' with {only!r} in its name' if only else ''}. Build it first.")
        return 1
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
    count = 0
    with serve(site) as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.set_default_timeout(60_000)
            for name in names:
                for finding in look_at(page, name, home, shots):
                    print(finding, flush=True)
                    count += 1
            page.close()
        browser.close()
    views = len(names) * len(WIDTHS) * len(THEMES)
    print(f"{len(names)} pages, {views} views, {count} findings")
    return count


def main() -> int:
    sys.stdout.reconfigure(errors="replace")  # a finding may end in half of a mathematical letter
    parser = argparse.ArgumentParser(description="Look at every page of the built site.")
    parser.add_argument("site", type=Path, nargs="?", default=Path("_build/html"))
    parser.add_argument("--shots", type=Path, help="a folder for a picture of every view")
    parser.add_argument("--only", default="", help="only pages with this text in their address")
    arguments = parser.parse_args()
    return 1 if check(arguments.site, arguments.shots, arguments.only) else 0


if __name__ == "__main__":
    sys.exit(main())

"""The book builds without a warning, and its pages hold together: links, pictures, words, no other host."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("_config.yml", "_toc.yml", "_ext", "references.bib", "chapters")
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "embed": "src"}
LOADS |= {"audio": "src", "video": "src", "track": "src", "object": "data", "input": "src"}
LINK_RELATIONS_THAT_LOAD = {"stylesheet", "icon", "preload", "modulepreload", "prefetch"}
LINK_RELATIONS_THAT_LOAD |= {"manifest", "dns-prefetch", "preconnect", "shortcut"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}
VOID |= {"track", "wbr"}


class Page(HTMLParser):
    """What one page says, loads and links to."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.lang = ""
        self.title = ""
        self.headings: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.images: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self.redirects = False
        self._open: list[str] = []
        self._print_only = 0  # the depth at which the theme's heading for paper begins
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self._open.append(tag)
        if given.get("id") == "jb-print-docs-body":
            self._print_only = len(self._open)
        self.ids.update(given[name] for name in ("id", "name") if given.get(name))
        if tag == "html":
            self.lang = given.get("lang", "")
        elif tag == "h1" and not self._print_only:
            self.headings.append("")
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "img":
            self.images.append((given.get("src", ""), given.get("alt", "")))
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.redirects = True
        elif tag == "link" and set(given.get("rel", "").lower().split()) & LINK_RELATIONS_THAT_LOAD:
            self.loads.append(given.get("href", ""))
        if given.get(LOADS.get(tag, "-")):
            self.loads.append(given[LOADS[tag]])
        for candidate in given.get("srcset", "").split(","):
            self.loads += candidate.split()[:1]
        if "style" in given:
            self.styles.append(given["style"])

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if len(self._open) < self._print_only:
            self._print_only = 0

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.styles.append(data)
        if "h1" in self._open and not self._print_only:
            self.headings[-1] += data
        if self._open[-1:] == ["title"] and "svg" not in self._open:
            self.title += data


@pytest.fixture(scope="session")
def build(tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """The book, built once, from a copy of what git knows (or would, of files not yet added)."""
    copy = tmp_path_factory.mktemp("book")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES],
        cwd=ROOT,
        capture_output=True,
    )
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    for name in filter(None, names or _all_sources()):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        "-n",
        "-W",
        "--keep-going",
        ".",
    ]
    done = subprocess.run(
        command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done, copy / "_build" / "html"


def _all_sources() -> list[str]:
    """The same where there is no git, as in an archive of the repository."""
    found = [path for name in SOURCES for path in [ROOT / name, *(ROOT / name).rglob("*")]]
    return [path.relative_to(ROOT).as_posix() for path in found if path.is_file()]


@pytest.fixture(scope="session")
def pages(build) -> dict[str, Page]:
    """All pages by their address in the site, those that only lead to another left out."""
    _, html = build
    paths = [p for p in sorted(html.rglob("*.html")) if p.relative_to(html).parts[0] != "_static"]
    assert paths, f"The build left no pages in {html}."
    found = {path.relative_to(html).as_posix(): Page(path) for path in paths}
    return {name: page for name, page in found.items() if not page.redirects}


def _report(problems: list[str], what: str) -> None:
    assert not problems, f"{len(problems)} {what}:\n" + "\n".join(problems)


def _outside(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in (
        "http",
        "https",
        "ftp",
        "ws",
        "wss",
    )


def test_the_book_builds_without_a_warning(build):
    done, _ = build
    complaints = [line for line in done.stdout.splitlines() if re.search("WARNING|ERROR", line)]
    said = "\n".join(complaints or done.stdout.splitlines()[-30:])
    assert done.returncode == 0, f"jupyter-book ended with {done.returncode}:\n{said}"


def test_every_page_of_the_contents_is_there(pages):
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    wanted = [f"{name}.html" for name in re.findall(r"(?:file|root):\s*(\S+)", toc)]
    _report([name for name in wanted if name not in pages], "pages of _toc.yml were not built")


def test_no_page_loads_anything_from_another_host(pages, build):
    problems = [
        f"{name}: {address}"
        for name, page in pages.items()
        for address in [*page.loads, *(a for css in page.styles for a in _css_addresses(css))]
        if _outside(address)
    ]
    _, html = build
    for path in sorted(html.rglob("*.css")):
        text = path.read_text(encoding="utf-8", errors="replace")
        problems += [f"{path.relative_to(html)}: {a}" for a in _css_addresses(text) if _outside(a)]
    _report(problems, "things are loaded from other hosts")


def _css_addresses(css: str) -> Iterator[str]:
    """What a style sheet fetches: `url(...)` and `@import "..."`."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    for pattern in (r"url\(\s*[\"']?([^\"')]+)", r"@import\s+[\"']([^\"']+)"):
        yield from (match.strip() for match in re.findall(pattern, css))


def test_what_a_page_loads_is_there(pages):
    problems = []
    for name, page in pages.items():
        for address in page.loads:
            parts = urlsplit(address)
            if parts.path and not parts.scheme and not parts.netloc:
                target = (page.path.parent / unquote(parts.path)).resolve()
                if not target.is_file():
                    problems.append(f"{name}: {address}")
    _report(problems, "files that pages load are missing")


def test_every_internal_link_and_fragment_resolves(pages):
    @cache
    def ids(path: Path) -> set[str] | None:
        known = next((page.ids for page in pages.values() if page.path == path), None)
        return known if known is not None else (set() if path.is_file() else None)

    problems = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("", "#"):
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            target = target / "index.html" if target.is_dir() else target
            there = ids(target)
            if there is None:
                problems.append(f"{name}: {link} (no such page)")
            elif (
                parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in there
            ):
                problems.append(f"{name}: {link} (no such place in the page)")
    _report(list(dict.fromkeys(problems)), "internal links lead nowhere")


def test_every_page_has_a_language_a_title_and_one_main_heading(pages):
    problems = []
    for name, page in pages.items():
        if not page.lang:
            problems.append(f"{name}: no language")
        if not page.title.strip():
            problems.append(f"{name}: no title")
        if len(page.headings) != 1:
            problems.append(f"{name}: {len(page.headings)} main headings: {page.headings}")
    _report(problems, "pages lack something")


def test_every_picture_says_in_words_what_it_shows(pages):
    _report(
        [
            f"{name}: {source}"
            for name, page in pages.items()
            for source, words in page.images
            if not words.strip() or words.strip() == source or re.fullmatch(r"\S*\.\w{2,4}", words)
        ],
        "pictures have no words",
    )


def test_every_citation_is_in_the_bibliography(pages):
    listed = {name for name in pages["chapters/bibliography.html"].ids}
    cited = [
        (name, urlsplit(link).fragment)
        for name, page in pages.items()
        for link in page.links
        if urlsplit(link).path.endswith("bibliography.html") and urlsplit(link).fragment
    ]
    assert cited, "No page cites anything."
    _report([f"{n}: {key}" for n, key in cited if key not in listed], "citations lead nowhere")
    unresolved = [
        f"{name}: {match}"
        for name, page in pages.items()
        for match in re.findall(r"\{cite[^}]*\}|\[\?\]", page.path.read_text(encoding="utf-8"))
    ]
    _report(unresolved, "citations were not resolved")


def test_the_bibliography_holds_each_work_once_and_only_cited_ones():
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "references.bib").read_text("utf-8"), re.M)
    assert len(keys) == len(set(keys)), "references.bib has a key twice."
    assert keys == sorted(keys), "references.bib is not in the order of its keys."
    sources = [p for p in (ROOT / "chapters").rglob("*") if p.suffix in (".md", ".ipynb")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    cited = {
        key.strip()
        for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
        for key in group.split(",")
    }
    _report(sorted(set(keys) - cited), "works are in references.bib and never cited")


# The ledger's rows: of history, formulas (the sixth is the other half of the fifth), gradients, practice.
LEDGER = [f"h{n}" for n in range(1, 15)] + [f"f{n}" for n in range(1, 14) if n != 6]
LEDGER += [f"g{n}" for n in range(1, 10)] + [f"p{n}" for n in range(1, 16)]
SHOWN = re.compile(r"\{(?:ref|numref|eq)\}`|\]\([\w/-]+\.ipynb#[\w-]+\)")


def test_the_ledger_answers_every_claim_and_says_where_to_see_it():
    """That these places are there is what the build and the links' test say."""
    text = (ROOT / "chapters" / "claims.md").read_text(encoding="utf-8")
    boxes = re.findall(
        r"^```\{admonition\} (.+)\n:class: claim\n((?:.*\n)*?)```$", text, re.MULTILINE
    )
    names = [name for _, body in boxes for name in re.findall(r"^:name: claim-(\S+)$", body, re.M)]
    assert set(LEDGER) <= set(names)
    assert len(names) == len(set(names))
    for said, body in boxes:
        assert re.search(r"^\[[^\]]+\]\{\.verdict \.is-(?:true|if|false)\}", body, re.M), said
        assert SHOWN.search(body.partition("*See*")[2]), said


def test_every_word_of_the_glossary_leads_to_the_section_that_explains_it():
    """That the section is there is seen by the build, which stops at any warning."""
    text = (ROOT / "chapters" / "glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\{glossary\}\n(.*?)\n```", text, re.DOTALL)
    entries = [entry for block in blocks for entry in block.split("\n\n")]
    assert len(entries) > 100
    assert [e for e in entries if not re.search(r"See \{ref\}`[\w-]+`\.$", e)] == []


def test_the_search_index_knows_every_page(build, pages):
    index = build[1] / "searchindex.js"
    assert index.is_file(), "There is no search index."
    text = index.read_text(encoding="utf-8")
    sought = [name.removesuffix(".html") for name in pages if name.startswith("chapters/")]
    _report(
        [name for name in sought if f'"{name}"' not in text], "pages cannot be found by searching"
    )


def test_the_readmes_picture_is_the_stored_figure():
    cells = json.loads((ROOT / "chapters" / "03-vanishing-gradients.ipynb").read_text())["cells"]
    outputs = next(
        cell["outputs"]
        for cell in cells
        if cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") == "fig-vanish-default"
    )
    stored = next("".join(o["data"]["image/svg+xml"]) for o in outputs if "data" in o)
    shown = (ROOT / "chapters" / "_static" / "fig-vanish-default.svg").read_text()
    white = '<rect width="100%" height="100%" fill="white"/>\n '
    assert shown.replace(white, "", 1) == stored, "the README says how to export it again"

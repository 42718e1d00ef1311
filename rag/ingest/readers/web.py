"""HTML to Markdown: the text that a visitor reads or opens, without scripts and menus."""

from __future__ import annotations

import re
from pathlib import Path

from rag.errors import RagError
from rag.ingest.readers.html_cleaning import HEADINGS, MENU, LeftOut, clean
from rag.ingest.readers.html_tables import Element, regularise_tables
from rag.ingest.readers.markdown_library import load_markitdown
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text
from rag.signals.document_injection import injection_note

# Where known exporters and site builders put the article itself.
ARTICLE = ["#main-content", "main", "[role=main]", "article", ".wiki-content", ".page-body"]
MIN_CHARS = 40
MIN_SHARE = 0.6  # of the page's words that are no links: with less, the article is only a part of the page


def read_html(path: Path, name: str) -> list[Text]:
    """The page as Markdown; RagError when nothing of it is text."""
    title, text, notes = read_page(path.read_bytes(), Path(name).stem)
    return [Text("", title, text, notes)]


def markdown_of(data: bytes | str, fallback: str) -> tuple[str, str]:
    """Title and Markdown of an HTML page."""
    title, text, _ = read_page(data, fallback)
    return title, text


def read_page(data: bytes | str, fallback: str) -> tuple[str, str, tuple[str, ...]]:
    """Title and Markdown of an HTML page, and notes on left-out parts that a person should know."""
    from bs4 import BeautifulSoup

    soup: Element = BeautifulSoup(data, "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    first = soup.find("h1")
    title = title or (" ".join(first.get_text().split()) if first else "") or fallback
    left_out = clean(soup)
    body = _article(soup, left_out)
    for link in body.find_all("a"):
        link.unwrap()
    for image in body.find_all(["img", "picture"]):
        image.replace_with(str(image.get("alt") or ""))
    regularise_tables(soup, body)
    text = (
        load_markitdown().converters.HtmlConverter().convert_string(f"<body>{body}</body>").markdown.strip()
    )
    if not re.search(r"\w", text):
        raise RagError("holds no text without its scripts. Save the page from your browser, or as PDF.")
    notes = (*left_out.notes(), *injection_note(" \n".join(left_out.unseen), "out of a visitor's sight"))
    has_top = re.match(r"#\s", text)
    return title[:120], text if has_top else f"# {title[:120]}\n\n{text}", tuple(notes)


def _article(soup: Element, left_out: LeftOut) -> Element:
    """The smallest known container that holds most of the page's words; else the whole page."""
    whole = soup.body or soup
    words = _own_words(whole)
    for where in ARTICLE:
        containers = soup.select(where)
        ids = set(map(id, containers))
        inner = [one for one in containers if ids.isdisjoint(map(id, one.parents))]
        if len(inner) > 1:  # each post or answer is an article of its own
            inner = [_around(inner)]
        for element in inner:
            own = _own_words(element)
            if len(element.get_text(strip=True)) >= MIN_CHARS and own >= MIN_SHARE * words:
                outside = len(whole.get_text(" ").split()) - len(element.get_text(" ").split())
                left_out.words[MENU] = left_out.words.get(MENU, 0) + outside
                if words - own >= MIN_CHARS:
                    left_out.words["around the article"] = words - own
                return element
    return whole


def _around(elements: list[Element]) -> Element:
    """The nearest element that holds all of them."""
    others = [set(map(id, element.parents)) for element in elements[1:]]
    return next(
        (parent for parent in elements[0].parents if all(id(parent) in some for some in others)), elements[0]
    )


def _own_words(element: Element) -> int:
    """The words that are neither links nor headings."""
    words = len(element.get_text(" ").split())
    return words - sum(
        len(part.get_text(" ").split())
        for part in element.find_all(["a", *HEADINGS])
        if part.find_parent(["a", *HEADINGS]) is None
    )


READERS = (
    Reader(
        "html",
        "HTML",
        read_html,
        (".html", ".htm", ".xhtml"),
        media_types=("text/html", "application/xhtml+xml"),
        max_bytes=MAX_TEXT_BYTES,
    ),
)

"""HTML to Markdown: what a reader of the page sees, without scripts, menus and hidden text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text

UNSEEN = ["script", "style", "noscript", "template", "svg", "iframe", "object", "embed", "form", "nav",
          "footer", "aside", "button", "input", "select", "head"]  # fmt: skip
# Where known exporters and site builders put the article itself.
ARTICLE = ["#main-content", "article", "main", "[role=main]", ".wiki-content", ".page-body"]
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:[a-z%]*\s*(?:;|$))", re.I
)


def read_html(path: Path, name: str) -> list[Text]:
    """The page's article as Markdown; RagError when nothing of it is text."""
    title, text = markdown_of(path.read_bytes(), Path(name).stem)
    return [Text("", title, text)]


def markdown_of(data: bytes | str, fallback: str) -> tuple[str, str]:
    """Title and Markdown of an HTML page."""
    from bs4 import BeautifulSoup
    from markitdown.converters import HtmlConverter

    soup: Any = BeautifulSoup(data, "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    first = soup.find("h1")
    title = title or (" ".join(first.get_text().split()) if first else "") or fallback
    for element in soup(UNSEEN):
        element.decompose()
    for element in soup.find_all(_unseen):
        element.decompose()
    body: Any = next((element for where in ARTICLE if (element := soup.select_one(where))), None)
    if body is None or len(body.get_text(strip=True)) < 40:
        body = soup.body or soup  # a menu page, or an article tag used for a teaser
    for link in body.find_all("a"):
        link.unwrap()
    for caption in body.find_all("caption"):
        _lift_caption(soup, caption)
    for image in body.find_all(["img", "picture", "video", "audio", "canvas"]):
        image.replace_with(str(image.get("alt") or ""))
    text = HtmlConverter().convert_string(str(body)).markdown.strip()
    if not re.search(r"\w", text):
        raise RagError("holds no text without its scripts. Save the page from your browser, or as PDF.")
    has_top = re.match(r"#\s", text)
    return title[:120], text if has_top else f"# {title[:120]}\n\n{text}"


def _lift_caption(soup: Any, caption: Any) -> None:
    """A caption inside its table hides the header row from the converter; as bold text above, both are kept."""
    table, line = caption.find_parent("table"), soup.new_tag("p")
    if table is not None:
        line.append(soup.new_tag("strong", string=" ".join(caption.get_text().split())))
        table.insert_before(line)
        caption.decompose()


def _unseen(tag: Any) -> bool:
    """Hidden from people: a place to hide instructions for a machine."""
    attributes = tag.attrs or {}
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(str(attributes.get("style", ""))))
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

"""Confluence's XML export (`entities.xml`): each current page, its storage format turned into Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from rag.errors import RagError
from rag.ingest.readers.reader import Reader, Text
from rag.ingest.readers.web import markdown_of

_MACRO = re.compile(r"</?(?:ac|ri|at):[^>]*>")
_CODE = re.compile(r"<ac:plain-text-body>\s*<!\[CDATA\[(.*?)\]\] ?>\s*</ac:plain-text-body>", re.S)


def read_confluence(path: Path, name: str) -> list[Text]:
    """One document per page that is current: drafts, old versions and comments are left out."""
    from defusedxml.ElementTree import iterparse

    pages: dict[str, str] = {}
    bodies: dict[str, str] = {}
    for _event, element in iterparse(path, events=("end",)):
        if element.tag != "object":
            continue
        values = {p.get("name"): (p.text or "").strip() for p in element.findall("property")}
        kind, own = element.get("class"), (element.findtext("id") or "").strip()
        if kind in ("Page", "BlogPost") and values.get("contentStatus", "current") == "current":
            if element.find("property[@name='originalVersion']/id") is None:
                pages[own] = values.get("title") or "Untitled"
        elif kind == "BodyContent":
            owner = element.findtext("property[@name='content']/id")
            if owner:
                bodies[owner.strip()] = values.get("body", "")
        element.clear()
    candidates = [
        _page(own, title, bodies[own]) for own, title in pages.items() if bodies.get(own, "").strip()
    ]
    documents = [page for page in candidates if page]
    if not documents:
        raise RagError("holds no page with text. Export the space again, as HTML.")
    return documents


def _page(own: str, title: str, body: str) -> Text | None:
    html = _MACRO.sub(" ", _CODE.sub(lambda m: f"<pre>{m[1].replace('<', '&lt;')}</pre>", body))
    try:
        _, text = markdown_of(f"<html><head><title>{title}</title></head><body>{html}</body></html>", title)
    except RagError:  # a page of macros alone
        return None
    return Text(f"page-{own}", title[:120], text)


READERS = (Reader("confluence", "Confluence export", read_confluence, file_names=("entities.xml",)),)

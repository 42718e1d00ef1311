"""What of an HTML page a visitor can read: scripts, menus and what nothing opens go and are counted, the rest stays.

Panels of accordions and tabs are kept although they are closed, and what opens one becomes its heading. Cautions and
notes are kept wherever they stand. Rules of style sheets are not read: what only they hide stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rag.ingest.readers.html_tables import Element

SILENT = ["script", "style", "template", "svg", "iframe", "object", "embed", "input", "select", "textarea",
          "datalist", "head", "audio", "video", "canvas"]  # fmt: skip
MENUS = ["nav", "[role=navigation]", "[role=menu]", "[role=menubar]", "[role=search]", "[role=contentinfo]"]
HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
DEEPEST = 4  # headings below are no sections (rag/search/chunking.py)
MIN_WORDS = 4  # an icon's name has fewer
FORM_WORDS = 30  # a form with fewer and no paragraph is a search box or a sign-in
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:[a-z%]*\s*(?:;|$))", re.I
)
_OPENED = re.compile(
    r"accordion|collaps|faq|answer|panel|toggle|expand|disclosure|\btabs?\b|tabbed|tab-|-tab|dropdown|drawer|details"
    r"|spoiler|modal|popover|tooltip|more|step|slide|carousel",
    re.I,
)
_POINTS = ("aria-controls", "data-target", "data-bs-target", "data-toggle-target", "aria-owns", "for",
           "aria-describedby", "aria-details", "commandfor", "popovertarget")  # fmt: skip
_TITLES = (
    "summary",
    "heading",
    "header",
    "label",
    "question",
    "title",
)  # attributes of a site's own elements
_OPENS = ("aria-expanded", "aria-controls", "data-toggle", "data-bs-toggle", "data-target", "data-bs-target")


@dataclass
class LeftOut:
    """Words of a page that are not in its text, by reason; `unseen` holds the hidden ones and the comments."""

    words: dict[str, int] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)

    def take(self, element: Element, reason: str, is_unseen: bool = False) -> None:
        """Removes an element and counts its words."""
        text = " ".join(element.get_text(" ").split())
        self.words[reason] = self.words.get(reason, 0) + len(text.split())
        if is_unseen and text:
            self.unseen.append(text)
        element.decompose()

    def notes(self, least: int = 12) -> list[str]:
        """A sentence where at least `least` words that are no menu went."""
        unread = sum(count for reason, count in self.words.items() if reason != MENU)
        if unread < least:
            return []
        kinds = ", ".join(f"{count:,} {reason}" for reason, count in self.words.items() if count)
        return [f"left out words that a visitor does not read: {kinds}."]


MENU, UNSEEN, FORM, NO_SCRIPT = (
    "of menus and buttons",
    "that nothing opens",
    "of forms",
    "for pages without scripts",
)


def clean(soup: Element) -> LeftOut:
    """Removes non-text elements from the page and turns each panel's toggle into a heading."""
    from bs4 import Comment

    left_out = LeftOut()
    for comment in soup.find_all(string=lambda string: isinstance(string, Comment)):
        left_out.unseen.append(" ".join(comment.split()))
        comment.extract()
    for element in soup.find_all("template", attrs={"shadowrootmode": True}):
        element.unwrap()  # a part of the page that its component shows
    for element in soup(SILENT):
        element.decompose()
    for element in soup("noscript"):
        left_out.take(element, NO_SCRIPT)
    for form in soup("form"):
        has_text = form.find(["p", "li", "table", *HEADINGS]) is not None
        if has_text or len(form.get_text(" ").split()) >= FORM_WORDS:
            form.unwrap()
        else:
            left_out.take(form, FORM)
    for words in soup.find_all(string=True):
        if (
            "\n" in words and words.find_parent(["pre", "code"]) is None
        ):  # a line of the source is no line of the page
            words.replace_with(re.sub(r"\s*\n\s*", " ", words))
    _drop_hidden(soup, left_out)
    _drop_menus(soup, left_out)
    _head_tabs(soup)
    _head_components(soup)
    _head_panels(soup, left_out)
    _join_terms(soup)
    for item in soup("li"):
        if item.find(HEADINGS) is not None:  # a list of sections: a heading cannot stand behind a bullet
            item.name = "div"
            for parent in item.find_parents(["ul", "ol"])[:1]:
                parent.name = "div"
    return left_out


def _drop_hidden(soup: Element, left_out: LeftOut) -> None:
    targets = {
        str(tag[name]).lstrip("#") for name in _POINTS for tag in soup.find_all(attrs={name: True})
    } | {str(link["href"])[1:] for link in soup.select('a[href^="#"]')}
    for element in soup.find_all(_is_hidden):
        if element.decomposed or _can_be_opened(element, targets):
            continue
        left_out.take(element, UNSEEN, is_unseen=True)


def _is_hidden(tag: Element) -> bool:
    attributes = tag.attrs or {}
    if "hidden" in attributes or _HIDDEN.search(str(attributes.get("style", ""))):
        return True
    return attributes.get("aria-hidden") == "true"


def _can_be_opened(element: Element, targets: set[str]) -> bool:
    """Whether a click shows the element; content hidden only from screen readers is visible anyway."""
    attributes = element.attrs
    style = str(attributes.get("style", ""))
    if "hidden" not in attributes and not _HIDDEN.search(style):
        return len(element.get_text(" ").split()) >= MIN_WORDS
    if re.search(r"font-size\s*:\s*0", style, re.I):
        return False
    if attributes.get("hidden") == "until-found" or attributes.get("role") in ("tabpanel", "dialog"):
        return True
    if str(attributes.get("id", "")) in targets or attributes.get("aria-labelledby"):
        return True
    before = element.find_previous_sibling() or element.parent.find_previous_sibling()
    if before is not None and (_is_opener(before) or before.find(_is_opener) is not None or _asks(before)):
        return True
    names = [*_names(element), *(name for near in list(element.parents)[:2] for name in _names(near))]
    return any(_OPENED.search(name) for name in names) or element.find_parent("details") is not None


def _asks(element: Element) -> bool:
    """Whether an element is the question of the panel below it, or is styled or is_scripted to open that."""
    words = element.get_text(" ").strip()
    is_scripted = "onclick" in (element.attrs or {}) or any(_OPENED.search(name) for name in _names(element))
    return len(words.split()) < 40 and (words.endswith(("?", "？")) or is_scripted)


def _names(element: Element) -> list[str]:
    attributes = element.attrs or {}
    classes = attributes.get("class") or []
    return [*(classes if isinstance(classes, list) else [str(classes)]), str(attributes.get("id") or "")]


def _is_opener(tag: Element) -> bool:
    if tag.name in ("summary", "button"):
        return True
    attributes = tag.attrs or {}
    return attributes.get("role") in ("button", "tab") or any(name in attributes for name in _OPENS)


def _drop_menus(soup: Element, left_out: LeftOut) -> None:
    for where in MENUS:
        for element in soup.select(where):
            if not element.decomposed and element.name not in ("body", "html", "main", "article"):
                left_out.take(element, MENU)
    for footer in soup("footer"):
        if not footer.decomposed and footer.find_parent(["article", "main", "blockquote"]) is None:
            left_out.take(footer, MENU)
    for aside in soup("aside"):
        if not aside.decomposed and _is_link_list(aside):
            left_out.take(aside, MENU)


def _is_link_list(element: Element) -> bool:
    words = len(element.get_text(" ").split())
    link_words = sum(len(link.get_text(" ").split()) for link in element.find_all("a"))
    return words > 0 and link_words > 0.6 * words


def _head_panels(soup: Element, left_out: LeftOut) -> None:
    """Turns toggles of panels into headings below the section's own; removes other buttons."""
    base = None
    for tag in soup.find_all([*HEADINGS, "summary", "button", "dt", _is_opener_of_text]):
        if tag.decomposed or tag.parent is None:
            continue
        if tag.name in HEADINGS:
            if tag.get("data-made") is None:
                base = tag
            for button in tag.find_all("button"):
                button.unwrap()
            continue
        if tag.find_parent(HEADINGS) is not None:
            continue
        words = " ".join(tag.get_text(" ").split())
        if not _heads_a_panel(tag, words):
            if tag.name == "button":
                left_out.take(tag, MENU)
            continue
        level = min(int(base.name[1]) + 1, DEEPEST) if base is not None else 2
        whole = tag.find_parent("details") if tag.name == "summary" else None
        tag.name, tag.attrs = f"h{level}", {"data-made": "yes"}
        for inner in tag.find_all(HEADINGS):
            inner.unwrap()
        if whole is not None:
            _close_section(soup, whole, base)


def _is_opener_of_text(tag: Element) -> bool:
    return tag.name in ("div", "a", "span", "p") and _is_opener(tag) and tag.find(["p", "ul", "div"]) is None


def _heads_a_panel(tag: Element, words: str) -> bool:
    if tag.name == "summary":
        return bool(words)
    if tag.name == "dt":
        return words.endswith(("?", "？"))
    names = " ".join(name for near in [tag, *list(tag.parents)[:2]] for name in _names(near))
    opens = any(name in tag.attrs for name in _OPENS) or bool(_OPENED.search(names))
    return bool(words) and (words.endswith(("?", "？")) or (opens and len(words.split()) >= 2))


def _head_tabs(soup: Element) -> None:
    """Each panel of tabs gets the words of its tab as heading; the row of tabs is a menu then."""
    levels = [int(heading.name[1]) for heading in soup.find_all(HEADINGS)]
    level = min(min(levels, default=1) + 1, DEEPEST)
    for panel in soup.find_all(attrs={"role": "tabpanel"}):
        own = str(panel.get("id") or "")
        tab = own and soup.find(attrs={"role": "tab", "aria-controls": own})
        tab = tab or soup.find(id=str(panel.get("aria-labelledby") or "") or None, attrs={"role": "tab"})
        words = " ".join(tab.get_text(" ").split()) if tab else ""
        if words:
            heading = soup.new_tag(f"h{level}", string=words)
            heading["data-made"] = "yes"
            panel.insert(0, heading)
            tab.decompose()


def _head_components(soup: Element) -> None:
    """What a site's own element says of its panel by an attribute (`<sl-details summary="...">`) becomes its heading."""
    levels = [int(heading.name[1]) for heading in soup.find_all(HEADINGS)]
    level = min(min(levels, default=1) + 1, DEEPEST)
    for tag in soup.find_all(re.compile("-")):
        name = next((name for name in _TITLES if str(tag.get(name) or "").strip()), None)
        if name is not None and any(str(words).strip() for words in tag.find_all(string=True)):
            heading = soup.new_tag(f"h{level}", string=" ".join(str(tag[name]).split()))
            heading["data-made"] = "yes"
            tag.insert(0, heading)
    for row in soup.find_all(lambda tag: len(tag.find_all("label", recursive=False)) > 1):
        labels, after = row.find_all("label", recursive=False), row.find_next_sibling()
        panels = [one for one in after.children if getattr(one, "name", None)] if after is not None else []
        if len(panels) == len(labels) and any(_OPENED.search(name) for name in _names(row)):
            for label, panel in zip(labels, panels, strict=True):
                heading = soup.new_tag(f"h{level}", string=" ".join(label.get_text(" ").split()))
                heading["data-made"] = "yes"
                panel.insert(0, heading)
            row.decompose()


def _close_section(soup: Element, whole: Element, base: Element) -> None:
    """Text behind a closed panel goes back under the section's own heading."""
    after = whole.find_next_sibling()
    if (
        after is None
        or after.name in ("details", *HEADINGS)
        or base is None
        or not after.get_text(strip=True)
    ):
        return
    again = soup.new_tag(base.name, string=" ".join(base.get_text(" ").split()))
    again["data-made"] = "yes"
    after.insert_before(again)


def _join_terms(soup: Element) -> None:
    """A list of terms becomes a list of "term: what it is"; its questions are headings by now."""
    for terms in soup("dl"):
        for term in terms.find_all("dt"):
            meaning = term.find_next_sibling("dd")
            if meaning is None:
                continue
            words = " ".join(term.get_text(" ").split())
            meaning.insert(0, f"{words.rstrip(':')}: ")
            term.decompose()
        for meaning in terms.find_all("dd"):
            meaning.name = "div" if meaning.find_previous_sibling(HEADINGS) is not None else "li"
        terms.name = "div" if terms.find(HEADINGS) is not None else "ul"

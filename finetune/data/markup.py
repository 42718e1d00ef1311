"""HTML as text, and only HTML: code, templates, placeholders and XML in a ticket's own words stay as they are. Pure."""

from __future__ import annotations

import html
import re

_BLOCK_TAGS = "p br div tr li table blockquote h1 h2 h3 h4 h5 h6 ul ol hr section article header footer pre dl dt dd".split()  # noqa: SIM905
_INLINE_TAGS = [
    "span",
    "b",
    "i",
    "u",
    "a",
    "strong",
    "em",
    "font",
    "center",
    "small",
    "big",
    "sub",
    "sup",
    "s",
    "strike",
    "del",
    "ins",
    "mark",
    "img",
    "code",
    "tt",
    "kbd",
    "abbr",
    "cite",
    "q",
    "td",
    "th",
    "thead",
    "tbody",
    "tfoot",
    "caption",
    "colgroup",
    "col",
    "html",
    "body",
    "meta",
    "link",
    "base",
    "address",
    "label",
    "main",
    "o:p",
    "wbr",
    "nobr",
]
_SILENT = re.compile(
    r"<(script|style|head|title)\b[^>]{0,2000}>.*?</\1\s*>|<!--.*?-->|<!doctype[^>]{0,500}>", re.I | re.S
)
_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>{'|'.join(sorted((*_BLOCK_TAGS, *_INLINE_TAGS), key=len, reverse=True))})"
    r"(?P<rest>(?:\s(?:[^<>\"'{}]|\"[^\"<>]{0,2000}\"|'[^'<>]{0,2000}'){0,2000})?\s*/?)>",
    re.IGNORECASE,
)
_ANY_TAG = re.compile(r"</?[A-Za-z][\w:.-]*(?:\s[^<>]{0,500})?/?>")
_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~\n.*?(?:\n~~~|\Z)|`[^`\n]{1,300}`", re.S)
_ABOUT_CODE = re.compile(
    r"\b(?:html|xml|jsx|tsx|svg|css|markup|template|snippet|element|component|tag|tags|render\w*|selector|dom|react|vue"
    r"|angular|attribute|vorlage|balise|etiqueta)\b|[{}]|=>|;\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_ENTITY = re.compile(
    r"&(?:nbsp|amp|lt|gt|quot|apos|#\d{1,6}|#x[0-9a-f]{1,5}|[lr][sd]quo|hellip|[mn]dash|euro|[aou]uml|szlig);",
    re.I,
)


_CITED = re.compile(
    r"<blockquote\b(?P<rest>[^<>]{0,500})>(?P<inner>(?:(?!</?blockquote\b).){0,200000})</blockquote\s*>",
    re.I | re.S,
)
_IS_CITED = re.compile(r"type\s*=\s*[\"']?cite|class\s*=\s*[\"'][^\"']*(?:quote|cite)", re.I)
MAX_LEVELS = 20  # of quotes in quotes


def _with_marks(text: str) -> str:
    """Mail that is quoted in HTML as it is quoted in text, each line behind `> `."""
    for _ in range(MAX_LEVELS):
        new = _CITED.sub(_as_quote, text)
        if new == text:
            return text
        text = new
    return text


def _as_quote(match: re.Match[str]) -> str:
    inner = match["inner"].strip()
    if not _IS_CITED.search(match["rest"]):
        return f"<div>{inner}</div>"
    lines = html.unescape(_TAG.sub(_as_text, _SILENT.sub("", inner))).strip().split("\n")
    quoted = "<br>".join(f"&gt; {html.escape(line.strip(), quote=False)}" for line in lines if line.strip())
    return f"<br>{quoted}<br>"


def plain(text: str) -> str:
    """HTML as text with its line breaks; text that merely mentions tags, and what stands in code, stays as it is."""
    if "<" not in text and "&" not in text:
        return text
    if not is_html(text):
        return _unescape(text) if not _ABOUT_CODE.search(text) and "```" not in text else text
    codes: list[str] = []

    def keep(match: re.Match[str]) -> str:
        codes.append(match[0])
        return f"\0{len(codes) - 1}\0"

    rest = _FENCE.sub(keep, text)
    rest = _with_marks(_SILENT.sub("", rest))
    rest = html.unescape(_TAG.sub(_as_text, rest))
    if text.lstrip().startswith("<"):  # a page's blanks mean nothing; in a message they may be code's
        lines = (
            line if "\0" in line else re.sub(r"[ \t\xa0]+", " ", line).strip() for line in rest.split("\n")
        )
        rest = "\n".join(lines)
    else:
        rest = re.sub(r"[ \t]+\n|\n(?=[ \t]\S)[ \t]", "\n", rest.replace("\xa0", " "))
    rest = re.sub(r"\n{3,}", "\n\n", rest).strip()
    return re.sub(r"\0(\d+)\0", lambda match: codes[int(match[1])], rest) or text


def is_html(text: str) -> bool:
    """Whether the text is HTML: it starts as a page, has breaks or paragraphs, or nothing but paired known tags in words."""
    body = _SILENT.sub("", _FENCE.sub("", text)).lstrip()
    tags = [match for match in _TAG.finditer(body) if _is_tag(match)]
    if not tags:
        return False
    names = [match["name"].lower() for match in tags]
    starts = tags[0].start() == 0 and names[0] in (*_BLOCK_TAGS, "html", "body", "span", "font", "td", "meta")
    breaks = sum(name in ("br", "p") for name in names)
    if starts and (len(tags) > 1 or names[0] in ("br", "p")):
        return not (_ABOUT_CODE.search(body) and _unknown(body) > len(tags))
    if breaks > 1 or (breaks and len(tags) > 2):
        return True
    if _unknown(body) or _ABOUT_CODE.search(body) or len(tags) < 2:
        return False
    opens = sum(not match["close"] for match in tags)
    return 2 * opens == len(tags) and "div" not in names  # a lone <div> in a sentence is talked about


def _unknown(body: str) -> int:
    """How many things look like tags and are none of HTML: components, placeholders, XML."""
    return sum(not ((own_tag := _TAG.match(one[0])) and _is_tag(own_tag)) for one in _ANY_TAG.finditer(body))


def _is_tag(match: re.Match[str]) -> bool:
    """Whether a tag is written as mail programs write it: `<br>` or `<BR>`, never `<Button>` or `v-if`."""
    name = match["name"]
    return (name.islower() or name.isupper()) and not re.search(
        r"\s(?:[:@*#(\[]|v-)[\w.)\]-]+=", match["rest"]
    )


def _as_text(match: re.Match[str]) -> str:
    if not _is_tag(match):
        return match[0]
    name = match["name"].lower()
    if name in ("td", "th"):
        return " "
    return (
        "\n"
        if name in _BLOCK_TAGS and (name == "br" or not match["close"] or name not in ("li", "tr"))
        else ""
    )


def _unescape(text: str) -> str:
    return html.unescape(text) if _ENTITY.search(text) else text

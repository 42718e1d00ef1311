"""reStructuredText with docutils, Sphinx's directives and roles included as text; no file is included, nothing is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.reader import MAX_TEXT_BYTES, Reader, Text
from rag.ingest.readers.text import decode, plain_stem
from rag.ingest.readers.web import read_page
from rag.signals.document_injection import injection_note

SILENT = {"toctree", "index", "meta", "contents", "sectnum", "image", "video", "highlight", "include", "literalinclude",
          "currentmodule", "module", "tags", "only-metadata"}  # fmt: skip
CODE = {"sourcecode", "prompt", "parsed-literal", "code-block", "highlight", "testcode", "doctest", "ipython"}
PLAIN = {
    "container",
    "tabs",
    "tab-set",
    "grid",
    "card-carousel",
    "div",
    "rst-class",
    "role",
    "toggle",
    "hint",
}
_DIRECTIVE = re.compile(r"^[ \t]*\.\. (?:\|[^|\n]+\| )?([A-Za-z][\w.+:-]*)::", re.M)
_ROLE = re.compile(r":([A-Za-z][\w.+:-]*):`")
_COMMENT = re.compile(r"^\.\.[ \t]+(?![^\n]*::)(?!_)(?!\[)(?!\|)([^\n]+(?:\n[ \t]+[^\n]+)*)", re.M)


def read_rst(path: Path, name: str) -> list[Text]:
    """A page of reStructuredText; RagError when nothing of it is text."""
    from docutils.core import publish_parts

    source = decode(path.read_bytes())
    _learn(source)
    settings = {
        "file_insertion_enabled": False, "raw_enabled": False, "report_level": 5, "halt_level": 5,
        "doctitle_xform": False, "sectsubtitle_xform": False, "initial_header_level": 1, "_disable_config": True,
        "line_length_limit": MAX_TEXT_BYTES, "syntax_highlight": "none", "embed_stylesheet": False,
        "stylesheet_path": None, "smart_quotes": False, "math_output": "LaTeX", "toc_backlinks": False,
    }  # fmt: skip
    body = publish_parts(source, writer="html5", settings_overrides=settings)["html_body"]
    body = re.sub(r'<img alt="([^"]*)" src="\1"[^>]*>', "", body)  # no words of the writer's
    first = re.search(r"<h1>(.*?)</h1>", body, re.S)
    title = re.sub(r"<[^>]+>", "", first[1]).strip() if first else ""
    try:
        page_title, text, notes = read_page(
            f"<html><head><title>{title or plain_stem(name)}</title></head><body>{body}</body></html>",
            plain_stem(name),
        )
    except RagError as error:
        raise RagError("holds no words. Add a file with words in it.") from error
    include_names = re.findall(r"^[ \t]*\.\. (?:literal)?include:: *(\S+)", source, re.M)
    if include_names:
        names = ", ".join(include_names[:5])
        notes = (*notes, f"includes other files, which I did not follow ({names}). Add them too.")
    comments = " \n".join(_COMMENT.findall(source))
    return [Text("", page_title, text, (*notes, *injection_note(comments, "in a comment")))]


def _learn(source: str) -> None:
    """Makes text of each directive and role that docutils itself does not know."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    for name in {name.lower() for name in _DIRECTIVE.findall(source)}:
        if name not in en.directives:
            directives.register_directive(name, _directive(name))
    for name in {name.lower() for name in _ROLE.findall(source)}:
        if name not in en.roles:
            roles.register_local_role(name, _role)


def _directive(name: str) -> Any:
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives

    class AnyOption(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return directives.unchanged

    class Words(Directive):
        """Its argument as a line of its own, then its content."""

        has_content = True
        optional_arguments = 1
        final_argument_whitespace = True
        option_spec = AnyOption(any=directives.unchanged)

        def run(self) -> list[nodes.Node]:
            if name in SILENT:
                return []
            if name in CODE:
                code = "\n".join(self.content)
                return [nodes.literal_block(code, code)]
            lines: list[nodes.Node] = []
            argument = " ".join(self.arguments).strip()
            label = "" if name in PLAIN or ":" in name else name.replace("-", " ").capitalize()
            if argument.endswith("?") or name in (
                "dropdown",
                "tab-item",
                "tab",
                "group-tab",
                "collapse",
                "card",
            ):
                label = ""
            if words := ": ".join(part for part in (label, argument) if part):
                inline, _messages = self.state.inline_text(words, self.lineno)
                line = nodes.paragraph()
                line += nodes.strong("", "", *inline)
                lines.append(line)
            body = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, body, match_titles=False)
            return [*lines, *body.children]

    return Words


def _role(
    role: str, rawtext: str, text: str, lineno: int, inliner: Any, options: Any = None, content: Any = None
) -> tuple[list[Any], list[Any]]:
    """A role's words: the label of "label <target>", the last part of ~package.name."""
    from docutils import nodes
    from docutils.utils import unescape

    words = unescape(text)
    labelled = re.fullmatch(r"(.+?)\s*<[^<>]*>", words, re.S)
    words = labelled[1] if labelled else words.rsplit(".", 1)[-1] if words.startswith("~") else words
    return [nodes.inline(rawtext, words.lstrip("!~"))], []


READERS = (Reader("rst", "RST", read_rst, (".rst", ".rest"), max_bytes=MAX_TEXT_BYTES),)

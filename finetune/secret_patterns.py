"""Patterns of secrets and reference numbers that ticket texts carry. Pure.

Covers keys with a known prefix, JWTs, private key blocks, passwords after their word, tokens in links, and
order, invoice or account numbers after theirs. Does not cover a secret without prefix, word or shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of a text to replace by <KIND>."""

    start: int
    end: int
    kind: str


_KEYS = (
    r"sk-(?:ant-|proj-|live-)?[A-Za-z0-9_-]{16,}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|ASIA[0-9A-Z]{16}|AIza[\w-]{35}|ya29\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
)
_SECRETS = (
    re.compile(rf"(?<![\w-])(?P<it>{_KEYS})"),
    re.compile(r"(?P<it>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))", re.S),
    re.compile(r"\b(?:Bearer|Basic)\s+(?P<it>[A-Za-z0-9._~+/-]{16,}=*)"),
    re.compile(
        r"\b(?:password|passwort|passwd|passcode|pwd|pin|api[ _-]?key|secret(?: key)?|access token)\b"
        r"(?:\s*(?:is|was|:|=|ist))+\s*[\"'`]?(?P<it>(?=[^\s\"'`]*[\d!@#$%^&*_])[^\s\"'`,]{4,})",
        re.I,
    ),
    re.compile(
        r"[?&][\w-]*(?:token|key|code|sig|signature|password|auth|session|secret)[\w-]*=(?P<it>[^&\s#>\"']{6,})",
        re.I,
    ),
    re.compile(r"://[^/\s:@]+:(?P<it>[^/\s@]+)@"),
    re.compile(r"(?<![\w/.-])(?P<it>(?=[a-f0-9]*\d)(?=[a-f0-9]*[a-f])[a-f0-9]{32,128})(?![\w-])"),
)
_REFERENCE = re.compile(
    r"\b(?:order|invoice|booking|reservation|confirmation|tracking|shipment|parcel|account|customer|member(?:ship)?"
    r"|policy|contract|case|ticket|claim|reference|ref|transaction|payment|receipt|bestellung|rechnung|kundennummer)s?"
    r"(?:\s*(?:number|numbers|no\.?|nr\.?|id|code))?\s*(?:is|was|:|=|#)*\s*#?\s*"
    r"(?P<it>(?=[A-Z0-9/-]*\d[A-Z0-9/-]*\d[A-Z0-9/-]*\d)[A-Z0-9][A-Z0-9/-]{3,}[A-Z0-9])(?![\w.,]*\d)",
    re.I,
)
_HASHED = re.compile(r"(?<![\w&])#(?P<it>\d{4,})\b")
_YEAR = re.compile(r"(?:19|20)\d\d(?:[-/]\d\d?){0,2}")


def secret_spans(text: str) -> Iterator[Span]:
    """Secrets, as SECRET, and reference numbers, as ORDER_ID, where they stand."""
    for pattern in _SECRETS:
        for found in pattern.finditer(text):
            yield Span(*found.span("it"), "SECRET")
    for pattern in (_REFERENCE, _HASHED):
        for found in pattern.finditer(text):
            if not _YEAR.fullmatch(found["it"]):
                yield Span(*found.span("it"), "ORDER_ID")

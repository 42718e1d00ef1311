"""Which of the single-byte code pages a text's lone accented letters are of: those of Windows, DOS and the Mac, by language. Pure.

A detector takes a few such letters among ASCII for Chinese; here each language's own letters decide. Texts that are
mostly foreign letters (Greek, Cyrillic) and code pages of several bytes are for the detector.
"""

from __future__ import annotations

import re
from collections import Counter

USUAL = "cp1252"
_WESTERN = {
    "de": "äöüßÄÖÜ",
    "fr": "éèêëàâçîïôùûüœÉÈÊÀÇ",
    "es": "áéíóúñüÁÉÍÓÚÑ",
    "pt": "áâãàçéêíóôõúÁÂÃÀÇÉÓÔÕ",
    "it": "àèéìòùÀÈÉ",
    "nordic": "åäöæøéÅÄÖÆØ",
}
_EASTERN = {
    "pl": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    "cs": "áčďéěíňóřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽ",
    "sk": "áäčďéíĺľňóôŕšťúýžÁČĎÉÍĽŇŠŤÚÝŽ",
    "hu": "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",
    "ro": "ăâîşţĂÂÎŞŢ",
    "sl": "čšžćđČŠŽĆĐ",
}
PAGES = {
    "cp1252": {**_WESTERN, "several": "".join(_WESTERN.values())},
    "cp1250": _EASTERN,
    "cp1254": {"tr": "çğıöşüâîûÇĞİÖŞÜ"},
    "cp850": _WESTERN,
    "mac_roman": _WESTERN,
}
_WITHIN = re.compile(
    rb"(?<=[A-Za-z\x80-\xff])[\x80-\xff](?=[a-z\x80-\xff])|(?<=[a-z])[\xc0-\xff](?![A-Za-z\x80-\xff])"
)
_FIRST = re.compile(rb"(?<![\x80-\xff\w])[\x80-\xff](?=[a-z])")
SURE, DOUBTFUL = (
    0.95,
    0.9,
)  # share of the letters that another page must explain, and below which the usual one does not
_APOSTROPHES = "’‘´`­\xa0"


def code_page(data: bytes) -> tuple[str, bool]:
    """The code page in which the high bytes within words are letters of one language, and whether it explains nearly all.

    The usual one where none is surer.
    """
    within, first = Counter(_WITHIN.findall(data)), Counter(_FIRST.findall(data))
    total = within.total() + first.total()
    if not total:
        return USUAL, False
    shares = {
        page: max(_share(within, first, page, letters) for letters in languages.values()) / total
        for page, languages in PAGES.items()
    }
    best = max(shares, key=lambda page: shares[page])
    page = best if shares[best] >= SURE and shares[USUAL] < DOUBTFUL else USUAL
    return page, shares[page] >= SURE


def _share(within: Counter[bytes], first: Counter[bytes], page: str, letters: str) -> int:
    """How many of the bytes are these letters, capitals at the start of a word alone, or marks within words."""
    inner = {*letters.lower(), *(_APOSTROPHES if page.startswith("cp125") else "")}
    return sum(count for byte, count in within.items() if byte.decode(page, "replace") in inner) + sum(
        count for byte, count in first.items() if byte.decode(page, "replace") in letters
    )

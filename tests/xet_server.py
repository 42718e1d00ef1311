"""The storage half of a model hub: Xet's content-addressed store as the installed hf_xet speaks it. Never run live.

A file is stored as chunks in xorbs (uploaded whole) and a shard that says which chunks make it up; a download asks
for that plan and fetches byte ranges of xorbs. Formats: read from what hf_xet 1.8 sends, and from xet-core's source.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

ENTRY = 48  # every record of a shard has this many bytes
CHUNK_HEADER = 8
BOOKEND = b"\xff" * 32
VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30


@dataclass(frozen=True)
class Term:
    """Chunks `start` to `end` of one xorb, `size` bytes when unpacked."""

    xorb: str
    start: int
    end: int
    size: int


@dataclass(frozen=True)
class XetFile:
    """A file by the name that Xet has for it, and by its sha256."""

    xet: str
    sha256: str
    terms: tuple[Term, ...]


@dataclass
class XetStore:
    """Xorbs by hash, files by sha256 and by Xet's own hash."""

    xorbs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, XetFile] = field(default_factory=dict)

    def take_shard(self, shard: bytes) -> None:
        """Registers a shard's files; KeyError if it names a xorb that was never uploaded."""
        for file in files_of(shard):
            for term in file.terms:
                self.xorbs[term.xorb]
            self.files[file.sha256] = self.files[file.xet] = file

    def plan(self, xet: str, at: str) -> dict[str, Any]:
        """What a download of the whole file needs, with xorbs to be had below the address `at`."""
        fetch: dict[str, list[dict[str, Any]]] = {}
        terms = []
        for term in self.files[xet].terms:
            span = {"start": term.start, "end": term.end}
            terms.append({"hash": term.xorb, "unpacked_length": term.size, "range": span})
            places = offsets(self.xorbs[term.xorb], term.end)
            bytes_of = {"start": places[term.start], "end": places[term.end] - 1}
            fetches = fetch.setdefault(term.xorb, [])
            if not any(one["range"] == span for one in fetches):
                fetches.append({"range": span, "url": f"{at}/{term.xorb}", "url_range": bytes_of})
        return {"offset_into_first_range": 0, "terms": terms, "fetch_info": fetch}


def offsets(xorb: bytes, chunks: int) -> list[int]:
    """Where each of the first chunks of a xorb begins, and where the last of them ends."""
    places = [0]
    for _ in range(chunks):
        number = int.from_bytes(xorb[places[-1] + 1 : places[-1] + 4], "little")
        places.append(places[-1] + CHUNK_HEADER + number)
    return places


def files_of(shard: bytes) -> list[XetFile]:
    """The files that a shard describes."""
    at, paths = ENTRY, []
    while shard[at : at + 32] != BOOKEND:
        flags, number = struct.unpack_from("<II", shard, at + 32)
        xet, at = in_hex(shard[at : at + 32]), at + ENTRY
        terms = []
        for place in range(number):
            record = at + place * ENTRY
            _, size, start, end = struct.unpack_from("<IIII", shard, record + 32)
            terms.append(Term(in_hex(shard[record : record + 32]), start, end, size))
        at += number * ENTRY * (2 if flags & VERIFIED else 1)
        sha256 = ""
        if flags & WITH_SHA256:
            sha256, at = in_hex(shard[at : at + 32]), at + ENTRY
        paths.append(XetFile(xet, sha256, tuple(terms)))
    return paths


def in_hex(raw: bytes) -> str:
    """A hash as Xet writes it: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))

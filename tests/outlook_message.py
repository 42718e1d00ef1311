"""Outlook messages written here: compound files of the structure that [MS-CFB] and [MS-OXMSG] describe, as Outlook saves them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

SECTOR, MINI, CUTOFF = 512, 64, 4096
END, FREE, FAT_SECTOR, NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
Tree: TypeAlias = "Mapping[str, bytes | Tree]"
TEXTS = {
    "subject": "0037",
    "sender": "0C1A",
    "to": "0E04",
    "body": "1000",
    "headers": "007D",
    "address": "5D01",
    "id": "1035",
}


def message(
    attachments: Mapping[str, bytes | Tree] | None = None,
    page: str = "",
    when: datetime | None = None,
    **texts: str,
) -> Tree:
    """A message's storage; an attachment that is itself a message is opened, others have names and bytes."""
    tree: dict[str, bytes | Tree] = {"__properties_version1.0": b"\0" * 32 + _date(when)}
    for name, text in texts.items():
        tree[f"__substg1.0_{TEXTS[name]}001F"] = text.encode("utf-16-le")
    if page:
        tree["__substg1.0_10130102"] = page.encode()
    for number, (name, content) in enumerate((attachments or {}).items()):
        inner: dict[str, bytes | Tree] = {"__properties_version1.0": b"\0" * 8}
        inner["__substg1.0_3707001F"] = name.encode("utf-16-le")
        kind = "0102" if isinstance(content, bytes) else "000D"
        inner[f"__substg1.0_3701{kind}"] = content
        tree[f"__attach_version1.0_#{number:08X}"] = inner
    return tree


def _date(when: datetime | None) -> bytes:
    if when is None:
        return b""
    ticks = int((when - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
    return struct.pack("<HHIQ", 0x0040, 0x0039, 6, ticks)


class _Writer:
    """Lays the entries of a tree out in sectors."""

    def __init__(self) -> None:
        self.entries: list[list[object]] = []  # name, kind, child, right, start, size
        self.mini, self.mini_fat = bytearray(), list[int]()
        self.big: list[tuple[int, bytes]] = []

    def add(self, name: str, content: bytes | Tree) -> int:
        number = len(self.entries)
        self.entries.append([name, 1, NONE, NONE, END, 0])
        entry = self.entries[number]
        if isinstance(content, bytes):
            entry[1], entry[5] = 2, len(content)
            if len(content) >= CUTOFF:
                self.big.append((number, content))
            elif content:
                entry[4] = len(self.mini) // MINI
                count = -(-len(content) // MINI)
                self.mini += content.ljust(count * MINI, b"\0")
                first = int(str(entry[4]))
                self.mini_fat += [*range(first + 1, first + count), END]
            return number
        before = NONE
        for own in sorted(content, key=lambda key: (len(key), key.upper())):
            child = self.add(own, content[own])
            if before == NONE:
                entry[2] = child
            else:
                self.entries[before][3] = child
            before = child
        return number


def compound_file(tree: Tree) -> bytes:
    """The bytes of the file."""
    writer = _Writer()
    writer.add("Root Entry", tree)
    sectors: list[bytes] = []
    fat: list[int] = []

    def put(data: bytes) -> int:
        count = max(1, -(-len(data) // SECTOR))
        first = len(fat)
        sectors.append(data.ljust(count * SECTOR, b"\0"))
        fat.extend([*range(first + 1, first + count), END])
        return first

    for number, content in writer.big:
        writer.entries[number][4] = put(content)
    root = writer.entries[0]
    root[1], root[5] = 5, len(writer.mini)
    root[4] = put(bytes(writer.mini)) if writer.mini else END
    mini_fat = put(b"".join(struct.pack("<I", one) for one in writer.mini_fat).ljust(SECTOR, b"\xff"))
    directory = put(b"".join(map(_entry, writer.entries)))
    place = len(fat)
    fat.append(FAT_SECTOR)
    assert len(fat) <= SECTOR // 4
    sectors.append(b"".join(struct.pack("<I", one) for one in fat).ljust(SECTOR, b"\xff"))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16
    head += struct.pack(
        "<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, directory, 0, CUTOFF, mini_fat, 1, END, 0, place
    )
    return head + b"\xff" * (SECTOR - len(head)) + b"".join(sectors)


def _entry(entry: list[object]) -> bytes:
    name, kind, child, right, start, size = entry
    text = str(name).encode("utf-16-le")
    fields = struct.pack("<HBBIII", len(text) + 2, kind, 1, NONE, right, child)
    return text.ljust(64, b"\0") + fields + b"\0" * 36 + struct.pack("<IQ", start, size)

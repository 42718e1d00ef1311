"""The files of datasets in their folder or bucket: rows by digest, one numbered card per version of a name.

    rows/<digest>.jsonl          the canonical rows; the name is their sha256 and is checked on reading
    cards/<name>/v0001.json      written last: a version without its card does not exist
    checks/<digest>.json         the label check of these rows: ids and labels
    removed/<name>.<time>/v0001.json   cards of a removal that can still be undone; its rows stay in place
    pulls/<name>/state.json      where a pull resumes, and its pages without a version (staging.py)

Creating a card's file reserves its version number, so imports on several machines can run at once.
A repaired version stores no rows: its card names the base rows and the decisions on them.
"""

from __future__ import annotations

import json
from dataclasses import replace

from finetune.data.card import Card
from finetune.data.filesystem import Files
from finetune.data.label_check import LabelCheck
from finetune.data.repair import Repairs, apply_decisions
from finetune.data.row_file import RowFile, stored_rows
from finetune.data.staging import Staging
from finetune.data.ticket import DatasetError, Kind, Tickets, canonical_lines


class ObjectStore:
    """Cards and rows below one fsspec URL. The caller has checked the names."""

    def __init__(self, url: str) -> None:
        self._files = Files(url)
        self.pulls = Staging(self._files)

    def all(self) -> dict[str, list[Card]]:
        """All versions by dataset name; read in one request, as a bucket is slow."""
        by_name: dict[str, list[Card]] = {}
        for path, data in sorted(self._files.read_all("cards").items()):
            if card := _card(data):
                by_name.setdefault(path.split("/", 1)[0], []).append(card)
        return {name: sorted(cards, key=_number) for name, cards in by_name.items()}

    def versions(self, name: str) -> list[Card]:
        """Versions with a complete card, oldest first; an incomplete card is an unfinished version."""
        cards = (_card(data) for data in self._files.read_all(f"cards/{name}").values())
        return sorted((card for card in cards if card), key=_number)

    def live_versions(self, name: str) -> list[Card]:
        """The versions whose rows were not erased."""
        return [card for card in self.versions(name) if not card.erased]

    def put(self, card: Card, tickets: Tickets) -> Card:
        """Store rows, then the card, as the next version; returns the card with its number."""
        self._files.write_pieces(_rows_path(card.digest), canonical_lines(tickets.rows))
        versions = self.versions(card.name)
        number = versions[-1].version + 1 if versions else 1
        while not self._files.create(_card_path(version := replace(card, version=number)), _json(version)):
            number += 1
        if not self._files.exists(_rows_path(card.digest)):  # erased meanwhile for another name
            self._files.write_pieces(_rows_path(card.digest), canonical_lines(tickets.rows))
        return version

    def create_repaired(self, card: Card) -> bool:
        """Create the card of a repaired version under its own number; False where that number is taken."""
        return self._files.create(_card_path(card), _json(card))

    def rewrite(self, card: Card) -> None:
        """Replace a card."""
        self._files.write(_card_path(card), _json(card))

    def rows(self, digest: str) -> Tickets:
        """The rows of a digest, verified; large sets are read lazily.

        Raises DatasetError if they were erased or damaged.
        """
        tickets = self._whole_rows(digest)
        if tickets is None and (repairs := self._repairs_of(digest)):
            tickets = self._repaired_rows(repairs, digest)
        if tickets is None:
            raise DatasetError(
                f"The rows of {digest[:12]} are gone.", what_next="They were removed: add them again."
            )
        return tickets

    def _whole_rows(self, digest: str) -> Tickets | None:
        """The stored rows; None where there are none."""
        stream = self._files.open(_rows_path(digest))
        if stream is None:
            return None
        rows, has_labels = stored_rows(stream)
        if rows.digest != digest:
            stream.close()
            raise _damage(digest)
        kind: Kind = "triage" if has_labels else "reply"
        if rows.is_large:
            return Tickets(rows, kind)
        with stream:
            return Tickets(tuple(rows), kind)

    def _repairs_of(self, digest: str) -> Repairs | None:
        """The decisions behind these rows; None where there are none."""
        for cards in (self.all() | self.removals()).values():
            for card in cards:
                if card.digest == digest and card.repairs and not card.erased:
                    return Repairs.from_json(card.repairs, digest)
        return None

    def _repaired_rows(self, repairs: Repairs, digest: str) -> Tickets | None:
        """The rows of a repaired version, computed from its base rows; None where those are gone."""
        base = self._whole_rows(repairs.base)
        if base is None:
            return None
        rows = apply_decisions(base.rows, repairs.decisions)
        tickets = Tickets(rows, base.kind)
        if tickets.digest != digest:
            raise _damage(digest)
        if isinstance(rows, RowFile):
            rows.digest = digest
        return tickets

    def has_rows(self, digest: str) -> bool:
        """Whether the rows are stored or can be computed."""
        if self.has_whole_rows(digest):
            return True
        repairs = self._repairs_of(digest)
        return repairs is not None and self.has_whole_rows(repairs.base)

    def has_whole_rows(self, digest: str) -> bool:
        """Whether the rows themselves are stored."""
        return self._files.exists(_rows_path(digest))

    def write_whole(self, digest: str) -> None:
        """Store the rows of a repaired version, before its base rows are erased."""
        if self.has_whole_rows(digest) or (repairs := self._repairs_of(digest)) is None:
            return
        if (tickets := self._repaired_rows(repairs, digest)) is not None:
            self._files.write_pieces(_rows_path(digest), canonical_lines(tickets.rows))

    def save_check(self, digest: str, check: LabelCheck) -> None:
        """Store the label check of these rows."""
        self._files.write(_check_path(digest), json.dumps(check.to_json(), ensure_ascii=False).encode())

    def check_of(self, digest: str) -> LabelCheck | None:
        """The stored label check; None where these labels were not checked."""
        data = self._files.read(_check_path(digest))
        return LabelCheck.from_json(json.loads(data)) if data else None

    def erase_rows(self, digest: str, keep_for_others_than: str | None = None) -> None:
        """Erase a digest's rows; with a name (or a removal's key), only if nothing else holds the same rows."""
        others = self.all() | self.removals() if keep_for_others_than else {}
        others.pop(keep_for_others_than or "", None)
        if not any(card.digest == digest and not card.erased for cards in others.values() for card in cards):
            self._files.delete(_rows_path(digest))
            self._files.delete(_check_path(digest))

    def removals(self) -> dict[str, list[Card]]:
        """The cards of each removal that can still be undone, by key."""
        by_key: dict[str, list[Card]] = {}
        for path, data in sorted(self._files.read_all("removed").items()):
            if card := _card(data):
                by_key.setdefault(path.split("/", 1)[0], []).append(card)
        return {key: sorted(cards, key=_number) for key, cards in by_key.items()}

    def hide(self, cards: list[Card], key: str) -> None:
        """Move these versions under the removal's key; at each moment every version has a card in at least one place."""
        for card in cards:
            self._files.write(f"removed/{key}/v{card.version:04d}.json", _json(card))
        for card in cards:
            self.discard(card)

    def restore(self, cards: list[Card], key: str) -> None:
        """Undo `hide`."""
        for card in cards:
            self._files.write(_card_path(card), _json(card))
        self.drop_removal(cards, key)

    def drop_removal(self, cards: list[Card], key: str) -> None:
        """Delete the removal's cards."""
        for card in cards:
            self._files.delete(f"removed/{key}/v{card.version:04d}.json")

    def discard(self, card: Card) -> None:
        """Remove a card's file."""
        self._files.delete(_card_path(card))


def _rows_path(digest: str) -> str:
    return f"rows/{digest}.jsonl"


def _check_path(digest: str) -> str:
    return f"checks/{digest}.json"


def _damage(digest: str) -> DatasetError:
    return DatasetError(f"The rows of {digest[:12]} are damaged on disk.", what_next="Add the file again.")


def _card_path(card: Card) -> str:
    return f"cards/{card.name}/v{card.version:04d}.json"


def _card(data: bytes) -> Card | None:
    """The card in a file; None if it is incomplete."""
    try:
        return Card.from_json(json.loads(data))
    except (ValueError, TypeError):
        return None


def _number(card: Card) -> int:
    return card.version


def _json(card: Card) -> bytes:
    return json.dumps(card.to_json(), indent=1, ensure_ascii=False).encode()

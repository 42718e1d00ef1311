"""Datasets kept for the team: content-addressed rows, versioned cards, one folder or bucket (fsspec URL).

    rows/<digest>.jsonl          the canonical rows; the name is their sha256 and is checked on reading
    cards/<name>/v0001.json      written last: a version without its card does not exist

Covers erasing rows from the store and naming the models trained on them; does not cover those models'
weights, which keep what they saw, nor backups of the folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from finetune.card import Card, describe
from finetune.dataset import MAX_BYTES, MIN_ROWS, read_tickets
from finetune.files import Files
from finetune.ticket import DatasetError, Kind, Ticket, Tickets, canonical

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
SCOPE = re.compile(r"workspace|channel:[A-Z0-9]{1,32}")
DIGEST = re.compile(r"[0-9a-f]{64}")
SAMPLES = Path(__file__).parent / "samples"
BUNDLED = {"sample-tickets": "tickets.csv", "sample-replies": "replies.jsonl"}
BUNDLED_BY = "trainwise"
BUNDLED_LICENCE = "CC0-1.0, written for Trainwise"

Prepare = Callable[[Tickets], tuple[Tickets, Mapping[str, object]]]
ModelsOf = Callable[[str], Iterable[str]]
Cards = list[Card]  # the store has a method `list`, which hides the built-in in its annotations
Hits = list[tuple[Card, Tickets, int]]


@dataclass(frozen=True)
class Removal:
    """What was erased, and the models that were trained on it and still hold what they saw."""

    name: str
    digests: tuple[str, ...]
    rows: int
    models: tuple[str, ...]
    by: str


@dataclass(frozen=True)
class Forgotten:
    """One dataset from which a requester's rows were erased; `new` is None if nothing useful was left."""

    name: str
    rows: int
    erased: tuple[str, ...]
    new: Card | None
    models: tuple[str, ...]


Forgettings = list[Forgotten]


class DatasetStore:
    """The team's datasets at an fsspec URL (a plain path is a local folder).

    `now` gives the time for cards; `prepare` cleans and redacts rows before they are stored.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        prepare: Prepare | None = None,
    ) -> None:
        self._files = Files(url)
        self._now = now
        self._prepare = prepare

    def add(
        self,
        path: Path,
        name: str,
        added_by: str,
        scopes: frozenset[str],
        licence: str,
        columns: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Card:
        """Read, clean, redact and keep the file's rows as the next version of `name`, if they differ.

        Raises DatasetError for a bad name, scope or file; then nothing was stored.
        """
        check_name(name)
        if name in BUNDLED and added_by != BUNDLED_BY:
            raise DatasetError(
                f"The name {name!r} belongs to the bundled sample.", what_next="Choose another name."
            )
        tickets = read_tickets(path, columns, max_bytes=max_bytes)
        return self.keep(tickets, name, added_by, scopes, licence, source=path.name)

    def keep(
        self,
        tickets: Tickets,
        name: str,
        added_by: str,
        scopes: frozenset[str],
        licence: str,
        source: str = "",
    ) -> Card:
        """Keep rows that were read already, as `add` does."""
        check_name(name)
        card = self._described(tickets, name, added_by, scopes, licence, source)
        return self._write(card[1], card[0])

    def _described(
        self, tickets: Tickets, name: str, added_by: str, scopes: frozenset[str], licence: str, source: str
    ) -> tuple[Card, Tickets]:
        wrong = sorted(scope for scope in scopes if not SCOPE.fullmatch(scope))
        if wrong or not scopes:
            raise DatasetError(
                f"A dataset belongs to a channel or the workspace, not {wrong}.", what_next="Name one."
            )
        found: Mapping[str, object] = {}
        if self._prepare is not None:
            tickets, found = self._prepare(tickets)
        card = describe(
            tickets,
            name=name,
            scopes=tuple(sorted(scopes)),
            licence=licence.strip() or "not stated",
            added_by=added_by,
            added_at=self._now().isoformat(timespec="seconds"),
            source=source,
            **found,
        )
        return card, tickets

    def _write(self, tickets: Tickets, card: Card) -> Card:
        """Rows first, card last; a version number is taken by whoever creates its file."""
        versions = self._versions(card.name)
        if versions and _same(versions[-1], card):
            return versions[-1]
        self._files.write(_rows_path(card.digest), canonical(tickets.rows))
        number = versions[-1].version + 1 if versions else 1
        while True:
            numbered = replace(card, version=number)
            if self._files.create(_card_path(numbered), _json(numbered)):
                return numbered
            number += 1

    def list(self, scopes: frozenset[str] | None = None) -> Cards:
        """The newest version of every dataset that the scopes may see (all without scopes), by name."""
        newest = [cards[-1] for name in self._files.folders("cards") if (cards := self._live(name))]
        return [card for card in sorted(newest, key=lambda card: card.name) if _visible(card, scopes)]

    def versions(self, name: str) -> Cards:
        """Every version of a dataset, oldest first, erased ones included."""
        check_name(name)
        return self._versions(name)

    def get(self, name_or_digest: str, scopes: frozenset[str] | None = None) -> Card:
        """The card of a name's newest version, or of the version with this digest (12 characters suffice).

        Raises DatasetError if there is none, or none that the scopes may see.
        """
        wanted = name_or_digest.strip()
        if NAME.fullmatch(wanted) and (cards := self._live(wanted)) and _visible(cards[-1], scopes):
            return cards[-1]
        if re.fullmatch(r"[0-9a-f]{12,64}", wanted):
            for name in self._files.folders("cards"):
                for card in reversed(self._live(name)):
                    if card.digest.startswith(wanted) and _visible(card, scopes):
                        return card
        known = ", ".join(card.name for card in self.list(scopes)[:10]) or "none yet"
        shown = wanted[:40] if wanted.isprintable() and wanted.isascii() else "of that name"
        raise DatasetError(f"There is no dataset {shown}.", what_next=f"There is: {known}.")

    def tickets(self, digest: str) -> Tickets:
        """The rows of a digest, checked against it. Raises DatasetError if they were erased or damaged."""
        if not DIGEST.fullmatch(digest):
            digest = self.get(digest).digest
        data = self._files.read(_rows_path(digest))
        if data is None:
            raise DatasetError(
                f"The rows of {digest[:12]} are gone.", what_next="They were removed: add them again."
            )
        if hashlib.sha256(data).hexdigest() != digest:
            raise DatasetError(
                f"The rows of {digest[:12]} are damaged on disk.", what_next="Add the file again."
            )
        rows = tuple(Ticket.from_json(json.loads(line)) for line in data.decode().split("\n") if line)
        kind: Kind = "triage" if any(row.label is not None for row in rows) else "reply"
        return Tickets(rows, kind)

    def remove(self, name: str, by: str, models_of: ModelsOf | None = None) -> Removal:
        """Erase every version of a dataset; `models_of(digest)` names the models trained on one.

        Rows that another dataset shares stay for it. Rows go before cards, so an interrupted removal can be
        asked for again and nothing is left behind unseen.
        """
        check_name(name)
        cards = self._versions(name)
        if not cards:
            raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
        models = _models({card.digest for card in cards}, models_of)
        for card in cards:
            self._erase_rows(card.digest, keep_for=name)
        for card in cards:
            self._files.delete(_card_path(card))
        return Removal(name, tuple(card.digest for card in cards), cards[-1].rows, models, by)

    def forget(self, requester: str, by: str, models_of: ModelsOf | None = None) -> Forgettings:
        """Erase a requester's rows from every version of every dataset; each newest version gets a successor.

        Also replaces the requester's name or address in other people's tickets by <ERASED>.
        """
        from finetune.erase import erase_requester

        done = []
        for name in self._files.folders("cards"):
            cards = [card for card in self._live(name) if self._files.exists(_rows_path(card.digest))]
            hits = []
            for card in cards:
                tickets = self.tickets(card.digest)
                kept, gone = erase_requester(tickets, requester)
                if gone:
                    hits.append((card, kept, gone))
            if hits:
                done.append(self._replace_versions(name, cards[-1], hits, by, models_of))
        return done

    def _replace_versions(
        self,
        name: str,
        newest: Card,
        hits: Hits,
        by: str,
        models_of: ModelsOf | None,
    ) -> Forgotten:
        new = None
        card, kept, _ = hits[-1]
        if card.digest == newest.digest and len(kept) >= MIN_ROWS:
            fresh = describe(
                kept,
                name=name,
                scopes=card.scopes,
                licence=card.licence,
                added_by=by,
                added_at=self._now().isoformat(timespec="seconds"),
                source=f"version {card.version} without a requester who asked to be forgotten",
                cleaned=card.cleaned,
                redactions=card.redactions,
                not_covered=card.not_covered,
            )
            new = self._write(kept, replace(fresh, columns=card.columns, guessed=card.guessed))
        digests = tuple(old.digest for old, _, _ in hits)
        models = _models(set(digests), models_of)
        for old, _, _ in hits:
            self._files.delete(_rows_path(old.digest))
            self._files.write(_card_path(old), _json(replace(old, erased=True)))
        return Forgotten(name, max(gone for _, _, gone in hits), digests, new, models)

    def ensure_sample(self) -> Card:
        """Register the bundled samples where they are missing or outdated; the triage sample's card."""
        for name, file in BUNDLED.items():
            if (SAMPLES / file).is_file():
                self.add(SAMPLES / file, name, BUNDLED_BY, frozenset({"workspace"}), BUNDLED_LICENCE)
        return self.get("sample-tickets")

    def annotate(self, card: Card, **found: object) -> Card:
        """Replace counts on a stored card (label noise is found after adding); rows and identity stay."""
        if fixed := {"name", "version", "digest", "rows", "kind"} & found.keys():
            raise DatasetError(
                f"A card's {', '.join(sorted(fixed))} cannot change.", what_next="Add a new version."
            )
        updated = replace(card, **found)  # type: ignore[arg-type]
        self._files.write(_card_path(card), _json(updated))
        return updated

    def _live(self, name: str) -> Cards:
        return [card for card in self._versions(name) if not card.erased]

    def _versions(self, name: str) -> Cards:
        """Versions whose card is whole, oldest first; a torn card is a version that was never finished."""
        cards = []
        for path in self._files.names(f"cards/{name}"):
            data = self._files.read(f"cards/{name}/{path}")
            try:
                cards.append(Card.from_json(json.loads(data or b"")))
            except (ValueError, TypeError):
                continue
        return sorted(cards, key=lambda card: card.version)

    def _erase_rows(self, digest: str, keep_for: str) -> None:
        others = [name for name in self._files.folders("cards") if name != keep_for]
        if not any(card.digest == digest for name in others for card in self._live(name)):
            self._files.delete(_rows_path(digest))


def check_name(name: str) -> str:
    """The name, if it can be one: lower-case ASCII letters, digits and single hyphens inside, 64 at most."""
    if not NAME.fullmatch(name):
        hint = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40].strip("-") or "tickets-2026"
        message = "A dataset's name has lower-case letters, digits and hyphens, 64 at most."
        raise DatasetError(message, what_next=f"Call it {hint!r}, for example.")
    return name


def _same(old: Card, new: Card) -> bool:
    facts = ("digest", "scopes", "licence")
    return not old.erased and all(getattr(old, fact) == getattr(new, fact) for fact in facts)


def _visible(card: Card, scopes: frozenset[str] | None) -> bool:
    return scopes is None or "workspace" in card.scopes or bool(scopes & set(card.scopes))


def _models(digests: set[str], models_of: ModelsOf | None) -> tuple[str, ...]:
    if models_of is None:
        return ()
    return tuple(sorted({model for digest in digests for model in models_of(digest)}))


def _rows_path(digest: str) -> str:
    return f"rows/{digest}.jsonl"


def _card_path(card: Card) -> str:
    return f"cards/{card.name}/v{card.version:04d}.json"


def _json(card: Card) -> bytes:
    return json.dumps(card.to_json(), indent=1, ensure_ascii=False).encode()

"""Datasets kept for the team: content-addressed rows, versioned cards, one folder or bucket (fsspec URL).

Covers erasing rows and naming the models trained on them; not those models' weights, nor backups of the folder.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from finetune.data import removal
from finetune.data.card import Card, describe
from finetune.data.dataset_repair import DatasetRepair
from finetune.data.import_report import without_texts
from finetune.data.names import NAME
from finetune.data.names import check_name as check_name
from finetune.data.names import suggest_name as suggest_name
from finetune.data.object_store import ObjectStore
from finetune.data.prepare import prepare as prepare_rows
from finetune.data.reading import check_whole, read_file, read_tickets, write_problems
from finetune.data.repair import Repairs
from finetune.data.scopes import check_scopes
from finetune.data.ticket import DatasetError, Tickets
from finetune.errors import did_you_mean
from finetune.progress import Progress, silent

DIGEST = re.compile(r"[0-9a-f]{64}")
log = logging.getLogger(__name__)
SAMPLES = Path(__file__).parents[1] / "samples"
SAMPLE, SAMPLE_REPLIES = "sample-tickets", "support-replies"
BUNDLED = {SAMPLE: "tickets.csv", SAMPLE_REPLIES: "replies.jsonl"}
BUNDLED_BY = "trainwise"
BUNDLED_LICENCE = "CC0-1.0, written for Trainwise"
BUNDLED_NOTE = "Invented tickets: nobody in them exists, so nothing was redacted."

Prepare = Callable[[Tickets], tuple[Tickets, Mapping[str, Any]]]
ModelsOf = Callable[[str], Iterable[str]]
Cards = list[Card]  # the store has a method `list`, which hides the built-in in its annotations
Hits = list[tuple[Card, Tickets, int]]


@dataclass(frozen=True)
class Removal:
    """The erased rows, and the models that were trained on them."""

    name: str
    digests: tuple[str, ...]
    rows: int
    models: tuple[str, ...]
    by: str


@dataclass(frozen=True)
class ErasureResult:
    """One dataset from which a requester's rows were erased; `new` is None if nothing useful was left."""

    name: str
    rows: int
    erased: tuple[str, ...]
    new: Card | None
    models: tuple[str, ...]


Forgettings = list[ErasureResult]


class DatasetStore:
    """The team's datasets at an fsspec URL (a plain path is a local folder).

    `now` gives the time for cards; `prepare` cleans and redacts rows; `progress` hears how far adding is, and stops it.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        prepare: Prepare = prepare_rows,
        progress: Progress | None = None,
    ) -> None:
        self.url, self._objects = url, ObjectStore(url)
        self._now, self._prepare = now, prepare
        self._progress = progress or silent()
        self.removals = removal.Removals(self._objects, now)
        self.repairs = DatasetRepair(self._objects, now, BUNDLED_BY)
        self.pulls = self._objects.pulls

    def preparing(self, prepare: Prepare) -> DatasetStore:
        """The same store, in which rows are prepared so."""
        other = copy(self)
        other._prepare = prepare
        return other

    def add(
        self,
        path: Path,
        name: str,
        added_by: str,
        scopes: frozenset[str],
        licence: str,
        columns: Mapping[str, str] | None = None,
        problems_to: Path | None = None,
        part: str | None = None,
    ) -> Card:
        """Read, clean, redact and keep the file's rows as the next version of `name`, if they differ.

        `problems_to` gets the list of rows that were left out or repaired, if there are any. Raises
        DatasetError for a bad name, scope or file; then nothing was stored.
        """
        check_name(name)
        tickets = read_file(path, columns, problems_to, part, self._progress)
        return self.keep(tickets, name, added_by, scopes, licence, path.name, problems_to)

    def keep(
        self,
        tickets: Tickets,
        name: str,
        added_by: str,
        scopes: frozenset[str],
        licence: str,
        source: str = "",
        problems_to: Path | None = None,
    ) -> Card:
        """Keep rows that were read already, as `add` does."""
        _check_owner(check_name(name), added_by)
        check_scopes(scopes)
        rows, facts = self._prepare(tickets)
        if problems_to and rows.problems:
            write_problems(rows, problems_to)
        check_whole(rows, f"{source or name}, cleaned,")
        self._progress.phase("describing")
        card = self._card(rows, name, added_by, scopes, licence, source, facts)
        left_out = len(tickets.rejections)  # by reading; what cleaning left out stands in `cleaned`
        repairs = sum(one.is_kept and not one.rule.endswith("left out") for one in tickets.problems)
        card = replace(card, rejected=left_out, repaired=repairs)
        self._progress.phase("storing")
        return self._write(rows, card)

    def _card(
        self,
        tickets: Tickets,
        name: str,
        added_by: str,
        scopes: Iterable[str],
        licence: str,
        source: str,
        counts: Mapping[str, Any],
    ) -> Card:
        return describe(
            tickets,
            name=name,
            scopes=tuple(sorted(scopes)),
            licence=licence.strip() or "not stated",
            added_by=added_by,
            added_at=self._now().isoformat(timespec="seconds"),
            source=source,
            **counts,
        )

    def _write(self, tickets: Tickets, card: Card) -> Card:
        """The stored card: the newest version itself when nothing differs from it."""
        versions = self._objects.versions(card.name)
        if versions and _same(versions[-1], card) and self._objects.has_rows(card.digest):
            return versions[-1]
        return self._objects.put(card, tickets)

    def list(self, scopes: frozenset[str] | None = None) -> Cards:
        """The newest version of every dataset that the scopes may see (all without scopes), by name."""
        newest = (_newest(cards, scopes) for cards in self._objects.all().values())
        return sorted((card for card in newest if card), key=lambda card: card.name)

    def versions(self, name: str) -> Cards:
        """Every version of a dataset, oldest first, erased ones included."""
        return self._objects.versions(check_name(name))

    def get(self, name_or_digest: str, scopes: frozenset[str] | None = None) -> Card:
        """The card of a name's newest version, or of the version with this digest (12 characters suffice).

        Only versions that the scopes may see count. Raises DatasetError if there is none.
        """
        query = name_or_digest.strip()
        if NAME.fullmatch(query) and (card := _newest(self._objects.live_versions(query), scopes)):
            return card
        if re.fullmatch(r"[0-9a-f]{12,64}", query):
            for cards in self._objects.all().values():
                for card in reversed(cards):
                    if card.digest.startswith(query) and not card.erased and _visible(card, scopes):
                        return card
        names = [card.name for card in self.list(scopes)]
        listing = ", ".join(names[:10]) or "none yet"
        label = query[:40] if query.isprintable() and query.isascii() else "of that name"
        hint = did_you_mean(query, names)
        raise DatasetError(f"There is no dataset {label}.{hint}", what_next=f"There is: {listing}.")

    def tickets(self, digest: str) -> Tickets:
        """The rows of a digest (or name), checked against it, with the columns that they were read from.

        Raises DatasetError if erased or damaged.
        """
        rows = self._objects.rows(digest if DIGEST.fullmatch(digest) else self.get(digest).digest)
        cards = (card for cards in self._objects.all().values() for card in reversed(cards))
        columns = next((card.columns for card in cards if card.digest == rows.digest), {})
        return replace(rows, columns=dict(columns))

    def remove(self, name: str, by: str, models_of: ModelsOf | None = None) -> Removal:
        """Erase every version of a dataset; `models_of(digest)` names the models trained on one.

        Rows that another dataset shares stay for it. Rows go before cards: an interrupted removal can be asked for again.
        """
        cards = self.versions(name)
        if not cards:
            raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
        models = _models({card.digest for card in cards}, models_of)
        for card in cards:
            self._objects.erase_rows(card.digest, keep_for_others_than=name)
        for card in cards:
            self._objects.discard(card)
        self.pulls.drop(name)
        return Removal(name, tuple(card.digest for card in cards), cards[-1].rows, models, by)

    def share(self, name: str, scopes: frozenset[str]) -> Card:
        """Let exactly these scopes see every version of a dataset; the newest card."""
        check_scopes(scopes)
        cards = self.versions(name)
        if not cards:
            raise DatasetError(f"There is no dataset {name}.", what_next="`/datasets` lists them.")
        return [self.annotate(card, scopes=tuple(sorted(scopes))) for card in cards][-1]

    def forget(self, requester: str, by: str, models_of: ModelsOf | None = None) -> Forgettings:
        """Erase a requester's rows from every version of every dataset, and the name in other people's tickets (<ERASED>).

        Each newest version gets a successor. `by` stands in the log, and owns nothing more.
        """
        from finetune.data.erase import erase_requester

        removal.purge(self._objects, lambda key: True)  # pending removals too
        self.pulls.drop_pages()
        hits: Hits = []
        for cards in self._objects.all().values():
            for card in (one for one in cards if not one.erased):
                if not self._objects.has_rows(card.digest):  # an erasure that was interrupted
                    self._objects.rewrite(replace(card, erased=True, intake=without_texts(card.intake)))
                    continue
                rows, erasures = erase_requester(self._objects.rows(card.digest), requester)
                if erasures:
                    hits.append((card, rows, erasures))
        log.info("%s has a requester forgotten in %d versions", by, len(hits))
        groups = [list(own) for _, own in groupby(hits, lambda hit: hit[0].name)]
        results = [self._next_version(own, models_of) for own in groups]
        digests = {card.digest for card, _, _ in hits}
        for card in (one for cards in self._objects.all().values() for one in cards):
            if Repairs.from_json(card.repairs, "").base in digests and card.digest not in digests:
                self._objects.write_whole(card.digest)  # of decisions on rows that go now
        for digest in digests:
            self._objects.erase_rows(digest)
        for card, _, _ in hits:
            self._objects.rewrite(replace(card, erased=True, intake=without_texts(card.intake)))
        return results

    def _next_version(self, hits: Hits, models_of: ModelsOf | None) -> ErasureResult:
        """Keep what is left of a dataset's newest version as the next one, if it still is a dataset."""
        card, rows, _ = hits[-1]
        name, new = card.name, None
        if card.version == self._objects.live_versions(name)[-1].version:
            source = f"version {card.version} without a requester who asked to be forgotten"
            facts = {field: getattr(card, field) for field in ("cleaned", "redactions", "not_covered")}
            try:
                check_whole(rows, name)
                fresh = self._card(rows, name, card.added_by, card.scopes, card.licence, source, facts)
                past = Repairs.from_json(card.repairs, fresh.digest).settled_on(fresh.digest)
                fresh = replace(fresh, columns=card.columns, guessed=card.guessed, repairs=past.to_json())
                new = self._objects.put(fresh, rows)
            except DatasetError:  # too little is left: the rows go all the same
                new = None
        digests = tuple(dict.fromkeys(old.digest for old, _, _ in hits))
        return ErasureResult(
            name, max(count for _, _, count in hits), digests, new, _models(set(digests), models_of)
        )

    def ensure_samples(self) -> Cards:
        """Register the bundled datasets where they are missing or outdated; their cards. They are not redacted.

        A dataset of somebody else that has the name of one stays as it is.
        """
        return [self._ensure(name, file) for name, file in BUNDLED.items()]

    def offer_samples(self) -> None:
        """Register the bundled datasets; without the packages that read tickets nothing is registered."""
        try:
            self.ensure_samples()
        except ModuleNotFoundError as error:
            log.warning("the bundled datasets are not there: %s is not installed", error.name)

    def _ensure(self, name: str, file: str) -> Card:
        newest = _newest(self._objects.live_versions(name), None)
        if newest and newest.added_by != BUNDLED_BY:
            return newest
        tickets = read_tickets(SAMPLES / file)
        if newest and newest.digest == tickets.digest and self._objects.has_rows(newest.digest):
            return newest
        facts = {"not_covered": BUNDLED_NOTE}
        card = self._card(tickets, name, BUNDLED_BY, ("workspace",), BUNDLED_LICENCE, file, facts)
        return self._objects.put(card, tickets)

    def annotate(self, card: Card, **counts: object) -> Card:
        """Replace counts on a stored card (label noise is found after adding); rows and identity stay."""
        if fixed := {"name", "version", "digest", "rows", "kind"} & counts.keys():
            raise DatasetError(
                f"A card's {', '.join(sorted(fixed))} cannot change.", what_next="Add a new version."
            )
        stored = next((one for one in self._objects.versions(card.name) if one.version == card.version), None)
        if stored is None:  # removed meanwhile: its card must not come back
            raise DatasetError(f"{card.name} was removed meanwhile.", what_next="Add the file again.")
        self._objects.rewrite(card_now := replace(stored, **counts))  # type: ignore[arg-type]
        return card_now


def _check_owner(name: str, added_by: str) -> None:
    if name in BUNDLED and added_by != BUNDLED_BY:
        raise DatasetError(
            f"The name {name!r} belongs to a bundled sample.", what_next="Choose another name."
        )


def _same(old: Card, new: Card) -> bool:
    facts = ("digest", "scopes", "licence")
    return not old.erased and all(getattr(old, fact) == getattr(new, fact) for fact in facts)


def _newest(cards: Cards, scopes: frozenset[str] | None) -> Card | None:
    """The last of one dataset's versions that is not erased and that the scopes may see."""
    visible = [card for card in cards if not card.erased and _visible(card, scopes)]
    return visible[-1] if visible else None


def _visible(card: Card, scopes: frozenset[str] | None) -> bool:
    return scopes is None or "workspace" in card.scopes or bool(scopes & set(card.scopes))


def _models(digests: set[str], models_of: ModelsOf | None) -> tuple[str, ...]:
    if models_of is None:
        return ()
    return tuple(sorted({model for digest in digests for model in models_of(digest)}))

"""A help desk of each kind and what pulls from it, as the bot and the command line would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from finetune.data.prepare import prepare
from finetune.data.store import DatasetStore
from finetune.pulls.pull import Order, PullResult, pull
from finetune.sources.contract import Query
from tests.finetune.sources.help_desk import HelpDesk
from tests.finetune.sources.wires import WIRES

NAME = "support"


@dataclass
class Rig:
    """A desk, a store, and every pause that was asked for instead of slept."""

    desk: HelpDesk
    store: DatasetStore
    folder: Path
    waits: list[tuple[float, str]] = field(default_factory=list)

    def query(self, project: str | None = None, since: str = "", **columns: str) -> Query:
        """The source's usual query with other columns."""
        source = self.desk.source
        return source.query(self.desk.project if project is None else project, columns, (), since)

    def pull(
        self,
        query: Query | None = None,
        full: bool = False,
        step: Callable[[str], None] = lambda text: None,
        by: str = "U1",
    ) -> PullResult:
        """One pull to its end."""
        source = self.desk.source
        connection = source.connect(self.values(), lambda seconds, why: self.waits.append((seconds, why)))
        scopes = frozenset({"workspace"})
        order = Order(NAME, query or self.query(), by, scopes, "ours", full)
        return pull(self.store, source, connection, order, prepare, step)

    def values(self) -> dict[str, str]:
        """All settings of the source, defaults included."""
        defaults = {one.name: one.default or "" for one in self.desk.source.variables}
        return defaults | self.desk.settings()

    def labels(self) -> dict[str, str | None]:
        """The newest version's label of each ticket, by its number."""
        rows = self.store.tickets(self.store.get(NAME).digest).rows
        return {row.id.removeprefix("SUP-"): row.label for row in rows}

    def bytes(self) -> bytes:
        """Everything that lies in the store."""
        return b"\n".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


def open_rig(name: str, folder: Path) -> Rig:
    """A rig before a new desk of this kind."""
    return Rig(WIRES[name](), DatasetStore(str(folder)), folder)


@pytest.fixture(params=sorted(WIRES))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """A rig for each source."""
    one = open_rig(request.param, tmp_path / "datasets")
    yield one
    one.desk.close()


@pytest.fixture
def zendesk(tmp_path: Path) -> Iterator[Rig]:
    """A rig for what is the same for every source."""
    one = open_rig("zendesk", tmp_path / "datasets")
    yield one
    one.desk.close()

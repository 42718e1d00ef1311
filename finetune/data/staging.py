"""Unfinished pulls, stored beside the datasets: their state and their redacted pages.

pulls/<name>/state.json          written last: a page counts once the state names it
pulls/<name>/page-000001.json    one answer's rows, cleaned and redacted
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from finetune.data.ticket import DatasetError

if TYPE_CHECKING:
    from finetune.data.filesystem import Files

State = Mapping[str, Any]


class LostPages(DatasetError):
    """Pages of an unfinished pull were erased to forget a person; a later pull reads them again."""

    retryable = True


class Staging:
    """The states and pages of one store. The caller has checked the names."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def state(self, name: str) -> dict[str, Any] | None:
        """What `keep_state` wrote last; None where nothing was ever pulled."""
        data = self._files.read(_state_path(name))
        return dict(json.loads(data)) if data else None

    def keep_state(self, name: str, state: State) -> None:
        """Write the state in one piece."""
        self._files.write(_state_path(name), _json(state))

    def keep_page(self, name: str, page: Mapping[str, Any], state: State) -> None:
        """Write a page under the state's number of pages, then the state: a kill in between costs that page alone."""
        self._files.write(_page_path(name, int(state["pages"])), _json(page))
        self.keep_state(name, state)

    def pages(self, name: str, count: int) -> Iterator[dict[str, Any]]:
        """The pages that the state counts, in order; LostPages where one is gone, and the pull then reads on from its last version."""
        for number in range(1, count + 1):
            data = self._files.read(_page_path(name, number))
            if data is None:
                self._start_over(name)
                raise LostPages(
                    f"What was pulled of {name} so far was erased meanwhile, since somebody is to be forgotten.",
                    what_next="Pull again: it is read anew.",
                )
            yield dict(json.loads(data))

    def finish(self, name: str, state: State) -> None:
        """Write the state of a pull whose rows a version holds, then erase its pages."""
        self.keep_state(name, state)
        self._erase_pages(name)

    def drop(self, name: str) -> None:
        """Erase all that is known of a dataset's pulls."""
        self._erase_pages(name)
        self._files.delete(_state_path(name))

    def drop_pages(self) -> None:
        """Erase the pages of every pull under way, since somebody is to be forgotten: each reads on from its last version."""
        for name in {path.partition("/")[0] for path in self._files.names("pulls")}:
            self._start_over(name)

    def end_removed(self, name: str) -> NoReturn:
        """Erase the pages of a pull whose dataset was removed meanwhile; DatasetError says so."""
        self._start_over(name)
        raise DatasetError(f"{name} was removed meanwhile, so nothing was kept of this pull.")

    def _start_over(self, name: str) -> None:
        state = self.state(name)
        self._erase_pages(name)
        if state and state.get("pages"):
            fresh: dict[str, Any] = {
                "pages": 0,
                "tickets": 0,
                "characters": 0,
                "is_read": False,
                "until": None,
                "marks": [],
            }
            self.keep_state(name, {**state, **fresh, "cursor": state["done"]})

    def _erase_pages(self, name: str) -> None:
        for path in self._files.names(f"pulls/{name}"):
            if path.startswith("page-"):
                self._files.delete(f"pulls/{name}/{path}")


def _state_path(name: str) -> str:
    return f"pulls/{name}/state.json"


def _page_path(name: str, number: int) -> str:
    return f"pulls/{name}/page-{number:06d}.json"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

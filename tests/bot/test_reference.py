"""The reference pages say what the code says."""

from __future__ import annotations

import pytest

from bot.cli.reference import DOCS, PAGES, read_variables
from bot.settings import HELP


def test_every_setting_is_explained_and_no_other_is() -> None:
    """HELP has a sentence for each variable that is read, and none for a variable that is gone."""
    names = {variable.name for variable in read_variables()}
    assert names == set(HELP)
    assert all(text.endswith(".") for text in HELP.values())


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_in_docs_is_up_to_date(name: str) -> None:
    """docs/settings.md and docs/cli.md are what `make docs` writes."""
    assert (DOCS / name).read_text("utf-8") == PAGES[name](), f"docs/{name} is old: run `make docs`"

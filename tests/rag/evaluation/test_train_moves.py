"""The labelled moves are whole, and a hand that the heads never read is read better than by the nearest known sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.advice.move_heads import NONE, MoveHeads
from rag.advice.moves import MoveReader
from rag.errors import RagError
from rag.evaluation.train_moves import fit, read_moves, rows_of
from rag.search.embedding import load_embedder
from rag.signals.multilingual import load_encoder


def test_every_line_has_a_label_a_language_and_an_author() -> None:
    """Two authors and more, ten languages, no sentence twice with two labels."""
    moves = read_moves()
    assert len({one.author for one in moves}) >= 3
    assert {one.lang for one in moves} >= {"en", "de", "fr", "es", "pt", "it", "nl", "ja", "zh", "ru"}
    labels: dict[str, set[str]] = {}
    for one in moves:
        labels.setdefault(one.text.lower(), set()).add(one.move)
    assert [text for text, names in labels.items() if len(names) > 1] == []


def test_an_unknown_move_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "author_x.jsonl").write_text('{"text": "hm", "lang": "en", "move": "ponder"}\n')
    with pytest.raises(RagError, match=r"author_x\.jsonl, line 1: each line has"):
        read_moves(folder=tmp_path)


@pytest.mark.slow
def test_an_author_left_out_is_read_better_than_by_the_nearest_sentence(tmp_path: Path) -> None:
    """Of the moves of another hand half as many again are recognised, and no fewer of the other messages are left alone."""
    embed, encode, moves = load_embedder(tmp_path), load_encoder(), read_moves()
    inside = [one for one in moves if one.author != "author_l"]
    outside = [one for one in moves if one.author == "author_l"]
    heads = MoveHeads(fit(rows_of(inside, embed, encode), inside))
    reader, rows = MoveReader(embed), rows_of(outside, embed, encode)
    right = {"nearest": [0, 0], "trained": [0, 0]}
    for one, row in zip(outside, rows, strict=True):
        for name, got in (("nearest", reader.nearest(one.text)), ("trained", heads.likeliest(row))):
            right[name][one.move == NONE] += got == one.move
    assert right["trained"][0] > 1.5 * right["nearest"][0]
    assert right["trained"][1] >= 0.98 * right["nearest"][1]

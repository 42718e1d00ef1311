"""Documents are cut into passages that lose nothing, know their place and fit into an answer."""

from __future__ import annotations

import random

from rag.index import GUIDE
from rag.search.chunking import CHUNK_TOKENS, chunk_markdown, sub_chunks
from rag.search.embedding import MiniLM


def squeeze(text: str) -> str:
    return "".join(text.split())


def test_passages_hold_the_whole_text_in_order_and_know_their_place(embed: MiniLM) -> None:
    """Joined again they are the document without its headings; each stands where it says."""
    text = (GUIDE / "training-guide.md").read_text()
    chunks = chunk_markdown(text, "guide", embed.count_tokens)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert squeeze("".join(chunk.text for chunk in chunks)) == squeeze(body)
    for chunk in chunks:
        assert squeeze(text[chunk.start : chunk.end]) == squeeze(chunk.text)
        assert embed.count_tokens(chunk.text) <= CHUNK_TOKENS


def test_long_sections_end_at_sentences(embed: MiniLM) -> None:
    """A sentence is not torn where there is another place to cut."""
    text = " ".join(f"Sentence number {n} says something about topic {n}." for n in range(200))
    chunks = chunk_markdown(text, "t", embed.count_tokens)
    assert len(chunks) > 5
    assert all(chunk.text.endswith(".") for chunk in chunks)
    for part in sub_chunks(chunks[0], embed.count_tokens):
        assert part.startswith("t\n")


def test_words_without_end_still_make_short_passages(embed: MiniLM) -> None:
    """A file of base64 or of one letter gives no passage that an answer could not show."""
    chance = random.Random(1)
    for text in (
        "a" * 100_000,
        "".join(chance.choices("abcdefghijklmnop0123456789+/", k=100_000)),
        "字" * 20_000,
    ):
        chunks = chunk_markdown(text, "t", embed.count_tokens)
        assert max(len(chunk.text) for chunk in chunks) < 2500
        assert squeeze("".join(chunk.text for chunk in chunks)) == text


def test_a_long_table_carries_its_header_in_each_passage(embed: MiniLM) -> None:
    """Rows stay whole under the names of their columns, the caption is the heading, and each row knows its place."""
    rows = "\n".join(f"| Region {n} | {n}.5 | {n * 3} |" for n in range(80))
    text = f"# Report\n\nSome words.\n\n**Revenue 2022**\n\n| Region | Road | Rail |\n|---|---|---|\n{rows}\n\nMore words."
    prose, *tables, last = chunk_markdown(text, "Report", embed.count_tokens)
    assert (prose.text, last.text) == ("Some words.", "More words.")
    assert len(tables) > 2
    for chunk in tables:
        assert chunk.heading == "Report > Revenue 2022"
        assert chunk.text.startswith("| Region | Road | Rail |\n|---|---|---|\n| Region ")
        assert squeeze(text[chunk.start : chunk.end]).endswith(squeeze(chunk.text.splitlines()[-1]))


def test_a_heading_without_text_goes_with_what_follows(embed: MiniLM) -> None:
    """A heading that is a path of others is none of those; one at the end, and a file of headings, are passages."""
    text = "# Notes\n\n## Printer two is broken\n\n## Coffee\n\nOrder beans.\n\n### Tea\n\n#### Green\n\nIs out.\n\n## Closed on Friday\n"
    chunks = chunk_markdown(text, "Notes", embed.count_tokens)
    assert [(chunk.heading, chunk.text) for chunk in chunks] == [
        ("Notes > Coffee", "## Printer two is broken\n\nOrder beans."),
        ("Notes > Coffee > Tea > Green", "Is out."),
        ("Notes", "## Closed on Friday"),
    ]
    (only,) = chunk_markdown("# A\n\n## B\n\n## C\n", "A", embed.count_tokens)
    assert only.text == "## B\n## C"
    assert chunk_markdown("", "A", embed.count_tokens) == []


def test_a_caption_is_the_line_above_with_a_year_or_the_numbered_one_below(embed: MiniLM) -> None:
    """Tables that differ by their year alone are told apart by the heading of their passages."""
    table = "| Region | Parcels |\n|---|---|\n| North | {0} |\n"
    text = f"# Report\n\nParcels by region in 2021\n\n{table.format(1)}\n*Parcels by region*\n\n{table.format(2)}\nTable 3: Parcels, 2023\n"
    tables = [
        chunk.heading for chunk in chunk_markdown(text, "Report", embed.count_tokens) if "|" in chunk.text
    ]
    assert tables == ["Report > Parcels by region in 2021", "Report > Parcels by region"]
    below = f"# Report\n\n{table.format(2)}\nTable 3: Parcels, 2023\n"
    assert chunk_markdown(below, "Report", embed.count_tokens)[0].heading == "Report > Table 3: Parcels, 2023"

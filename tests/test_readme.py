"""The README's story is the script's: between its marks stands what benchmarks/story.py wrote, and its pictures are there."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.story import BEGIN, DESKTOP, END, IMAGES, PHONE, README, WIDTH, steady_text, with_transcript
from bot.demo.story import QUESTION
from bot.demo.transcript import INDENT

TEXT = README.read_text(encoding="utf-8")
ACTORS = ("maya ", "ravi ", "trainwise ")


def transcript() -> str:
    return (
        TEXT.partition(BEGIN)[2].partition(END)[0].strip().removeprefix("```text").removesuffix("```").strip()
    )


def test_the_transcript_is_in_the_scripts_form() -> None:
    """Writing it again changes nothing; each line is an actor's, their words, or inside what Slack's API received."""
    assert with_transcript(TEXT, transcript()) == TEXT
    assert steady_text(transcript()) == transcript()
    lines = transcript().splitlines()
    assert max(map(len, lines)) <= WIDTH
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(f"  @trainwise {QUESTION}", highlight=False)
    assert [line.rstrip() for line in out.getvalue().splitlines()] == lines[1:3]
    strange = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line.strip() and not line.startswith((*ACTORS, "  ", "─")) and not before.startswith("  ")
    ]
    assert strange == []
    assert sum(line.startswith(INDENT) for line in lines) > 100


def test_the_story_goes_from_the_question_to_the_try() -> None:
    """Ask, cited verdict, measured verdict with its picture, report beside the forecast, one ticket tried; in this order."""
    text = " ".join(transcript().replace(INDENT.strip(), " ").split())
    steps = (
        "Prompt first",
        "[Measure it]",
        "*Train*",
        "now rests on these figures",
        "[image]",
        "*Worth it*",
        "Forecast 8",
        "After: tuned",
    )
    places = [text.index(steps[0])]
    for step in steps[1:]:
        places.append(text.index(step, places[-1]))
    assert places == sorted(places)


@pytest.mark.parametrize(("name", "size", "scale"), [("desktop", DESKTOP, 1), ("phone", PHONE, 2)])
def test_the_pictures_are_of_the_page(name: str, size: dict[str, int], scale: int) -> None:
    """Of the size that the script takes them in; the README shows them."""
    data = (Path(IMAGES) / f"{name}.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (scale * size["width"], scale * size["height"])
    assert f"docs/images/{name}.png" in TEXT


def test_the_readme_stays_short_for_a_newcomer() -> None:
    """Two commands, one picture, one sample answer, five steps; the whole story is folded away."""
    assert TEXT.count("![") == 1
    assert TEXT.count("```sh\nmake demo") == 1
    assert "<details>" in TEXT.partition(BEGIN)[0]
    steps = [line for line in TEXT.splitlines() if line[:2] in ("1.", "2.", "3.", "4.", "5.", "6.")]
    assert len(steps) == 5

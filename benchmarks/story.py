"""The story of `make demo` as the README tells it: a transcript of what Slack's API received, and two pictures.

    python benchmarks/story.py [--quick] [--json] [--write]

Runs the demo's own story on a local stack and prints its transcript. `--write` puts it into README.md between its two
marks and takes docs/images/desktop.png and docs/images/phone.png of the page in Chromium. `--quick` only asks the
question: the baseline of the same run, what a person reads before anything is measured. Figures: seconds and lines.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from bot.demo.stack import LocalStack, local_stack
from bot.demo.story import CHANNEL, QUESTION, ask, play_story
from bot.demo.transcript import Transcript
from bot.playground.client.person import Person

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- transcript: benchmarks/story.py --write -->", "<!-- end of transcript -->"
WIDTH = 116
PROGRESS = re.compile(r"`[█░]+` \d+%")
CHROMIUM = Path("/usr/bin/chromium")
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


def transcript_of(stack: LocalStack, quick: bool) -> str:
    """What the story prints while it is played; with `quick` up to the first answer."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH)
    if not quick:
        play_story(stack, console)
        return out.getvalue()
    maya = Person(stack.url, "maya")
    with Transcript(console, maya, stack.check) as story:
        ask(story, maya)
    return out.getvalue()


def steady_text(text: str) -> str:
    """The transcript without its progress lines and without blanks at the ends of lines."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(
        line for line in lines if not line.startswith("  … ") and not PROGRESS.search(line)
    ).strip()


def with_transcript(readme: str, transcript: str) -> str:
    """The README with the transcript between its two marks."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n```text\n{transcript}\n```\n\n{END}{tail}"


def take_pictures(stack: LocalStack) -> None:
    """The page as a stranger opens it on a desktop, and the measured verdict's card on a phone."""
    from playwright.sync_api import sync_playwright

    maya = Person(stack.url, "maya")
    question = next(m for m in maya.messages(CHANNEL) if QUESTION[:40] in str(m.get("text")))
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
        page.goto(f"{stack.url}/?user=maya")
        shoot(page, IMAGES / "desktop.png")
        phone = browser.new_page(viewport=PHONE, device_scale_factor=2)  # type: ignore[arg-type]
        place = f"/archives/C0SUPPORTML/p{question['ts'].replace('.', '')}?user=maya"
        phone.goto(stack.url + place)
        phone.get_by_role("complementary", name="Thread").get_by_text(
            "Measured on your own"
        ).first.scroll_into_view_if_needed()
        shoot(phone, IMAGES / "phone.png")
        browser.close()


def shoot(page: Any, file: Path) -> None:
    """A picture of the page once its thread and its images are there."""
    page.get_by_role("complementary", name="Thread").wait_for()
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    page.wait_for_timeout(500)
    page.screenshot(path=str(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="into README.md and docs/images")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tw") as folder:
        processes = ("bot",)
        with local_stack(Path(folder), fresh=True, processes=processes) as stack:
            stack.wait_for_bot()
            transcript = steady_text(transcript_of(stack, options.quick))
            if options.write and not options.quick:
                README.write_text(with_transcript(README.read_text("utf-8"), transcript), "utf-8")
                take_pictures(stack)
    print(transcript)
    if options.json:
        figures = {"seconds": round(time.monotonic() - began, 1), "lines": transcript.count("\n") + 1}
        print(json.dumps(figures))


if __name__ == "__main__":
    main()

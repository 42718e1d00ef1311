"""What the terminal shows: an answer with its sources, a job's progress, tables of jobs and datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from finetune.serving.predict import BeforeAfter
from finetune.tasks import Prediction
from rag.reply import Citation, Claim, Reply, Verdict

TITLES = {
    Verdict.PROMPT: "Prompt first",
    Verdict.RAG: "RAG",
    Verdict.FINE_TUNE: "Fine-tune",
    Verdict.SMALL_MODEL: "Small model",
    Verdict.FOUNDATION_MODEL: "Foundation model",
    Verdict.NEED_MORE_INFO: "Need more information",
    Verdict.GUIDE_ANSWER: "From the documents",
    Verdict.OFF_TOPIC: "Not my subject",
}


def reply_json(reply: Reply) -> str:
    """The whole reply as one JSON object."""
    return json.dumps(asdict(reply), ensure_ascii=False)


def claim_text(claim: Claim) -> str:
    return claim.text + "".join(f" [{number}]" for number in claim.cites)


def reply_lines(reply: Reply) -> list[str]:
    """The reply as lines of rich markup: verdict, why, signals, sources, what would change it, next step."""
    title = TITLES[reply.verdict]
    lines = [f"[bold]{title}[/bold]" + (f"  ({reply.confidence:.0%} sure)" if reply.confidence else "")]
    lines += [escape(reply.headline), ""] if reply.headline else [""]
    lines += [f"• {escape(claim_text(claim))}" for claim in reply.why]
    if reply.signals:
        words = ", ".join(
            f"{s.name} = {s.value} (“{s.quote}”)" if s.quote else f"{s.name} = {s.value} (my reading)"
            for s in reply.signals
        )
        lines += ["", f"[dim]Heard:[/dim] {escape(words)}"]
    if reply.would_change:
        lines += ["", "[dim]What would change it:[/dim]", *(f"• {escape(w)}" for w in reply.would_change)]
    lines += [f"[dim]Next:[/dim] {escape(reply.next_step)}"] if reply.next_step else []
    lines += [f"[dim]Cost:[/dim] {escape(reply.cost_line)}"] if reply.cost_line else []
    if reply.follow_up:
        lines += ["", f"[bold]?[/bold] {escape(reply.follow_up.text)}"]
        lines += [f"  - {escape(option)}" for option in reply.follow_up.options]
    for source in reply.citations:
        lines.append(f"[dim]{escape(f'[{source.number}] {place(source)}: “{source.quote}”')}[/dim]")
    return lines + ([f"[yellow]{escape(reply.note)}[/yellow]"] if reply.note else [])


def place(source: Citation) -> str:
    """Where a quote stands: the document, the section without the title again, the address."""
    section = source.heading.removeprefix(source.title).removeprefix(" > ")
    return " > ".join(part for part in (source.title, section) if part) + (
        f" {source.url}" if source.url else ""
    )


def print_reply(console: Console, reply: Reply, *, as_json: bool = False) -> None:
    """Print a reply for a person, or as JSON for a program."""
    if as_json:
        console.print_json(reply_json(reply)) if console.is_terminal else console.out(reply_json(reply))
        return
    for line in reply_lines(reply):
        console.print(line, highlight=False)


class JobProgress:
    """A progress bar fed with a job's events (`phase`, `step`, `note`); use it as a context manager."""

    def __init__(self, console: Console) -> None:
        columns = [TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.fields[detail]}")]
        self.bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=False)
        self.task: TaskID | None = None

    def __enter__(self) -> JobProgress:
        self.bar.start()
        self.task = self.bar.add_task("queued", total=None, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event of a pipeline."""
        assert self.task is not None
        if event["kind"] == "phase":
            self.bar.update(self.task, description=event["phase"], total=None, detail="")
        elif event["kind"] == "step":
            self.bar.update(
                self.task, total=event["steps"], completed=event["step"], detail=step_detail(event)
            )
        elif event["kind"] == "note":
            self.bar.console.print(f"[dim]{escape(str(event['text']))}[/dim]", highlight=False)


def step_detail(event: Mapping[str, Any]) -> str:
    """`step 12/60, loss 1.234, 40 s left` from a step event, leaving out what it does not carry."""
    parts = [f"step {event['step']}/{event['steps']}"]
    if event.get("loss") is not None:
        parts.append(f"loss {event['loss']:.3f}")
    if event.get("eta_s") is not None:
        parts.append(f"{event['eta_s']:.0f} s left")
    return ", ".join(parts)


TRIAGE = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
REPLY = {"chrf": "chrF", "rouge_l": "ROUGE-L", "facts_from_ticket": "facts from ticket"}


def measures_of(systems: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """The measures that a report's systems have, with their titles: written answers are not right or wrong."""
    return REPLY if any("chrf" in system for system in systems) else TRIAGE


def system_rows(
    systems: Sequence[Mapping[str, Any]], measures: Sequence[str] = tuple(TRIAGE)
) -> list[tuple[str, ...]]:
    """Name and measures of each system in a report, with 95% intervals in points."""
    rows: list[tuple[str, ...]] = []
    for system in systems:
        few = f" ({system['rows']} tickets)" if system.get("prompt") else ""
        rows.append((f"{system['name']}{few}", *(interval(system.get(measure)) for measure in measures)))
        if folds := system.get("cross_validated"):
            over = f"  over all {folds['rows']}, {folds['folds']} folds"
            rows.append((over, *(interval(folds.get(measure)) for measure in measures)))
    return rows


def interval(figure: Mapping[str, float] | None) -> str:
    """`91.2 (88.0-93.9)` in percent; a dash when it was not measured."""
    if not figure:
        return "-"
    return f"{100 * figure['value']:.1f} ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})"


def print_sides(console: Console, sides: BeforeAfter, as_json: bool = False) -> None:
    """One ticket's answers before and after training, side by side, or as one JSON object."""
    if as_json:
        console.out(json.dumps(asdict(sides), ensure_ascii=False), highlight=False)
        return
    answers = [side for side in (sides.before, sides.after) if side]
    heads = [
        f"{'after' if side is sides.after else 'before'}: {side.name}, {1000 * side.seconds:.0f} ms"
        for side in answers
    ]
    table = Table(*heads, box=None, padding=(0, 3, 0, 0))
    table.add_row(*(escape(_answer_line(side)) for side in answers))
    console.print(table)
    if sides.before is None:
        console.print("[dim]There is no before: nothing that could answer was kept beside this model.[/dim]")


def _answer_line(side: Prediction) -> str:
    lines = [f"{share:4.0%}  {name}" for name, share in side.ranked]
    return "\n".join(lines) if lines else side.answer or "(nothing)"

"""Terminal output: answers with their sources, progress of jobs, tables of scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from finetune.reports.parts import Score, SystemLine
from finetune.serving.predict import BeforeAfter
from finetune.tasks import Prediction
from rag.advice.phrases import Phrases, load_phrases_of
from rag.reply import Citation, Claim, Reply


def reply_json(reply: Reply) -> str:
    """The whole reply as one JSON object."""
    return json.dumps(asdict(reply), ensure_ascii=False)


def claim_text(claim: Claim) -> str:
    return claim.text + "".join(f" [{number}]" for number in claim.cites)


def reply_lines(reply: Reply) -> list[str]:
    """The reply as lines of rich markup: verdict, what was understood, why, sources, what would change it, next step."""
    words = load_phrases_of(reply.language)
    if reply.service:
        return [escape(reply.headline), *_SERVICE_COMMANDS.get(reply.service, [])]
    sure = words("say.sure", share=f"{reply.confidence:.0%}")
    lines = [f"[bold]{words(f'badge.{reply.verdict}')}[/bold]" + (f"  ({sure})" if reply.confidence else "")]
    lines += [escape(reply.headline), ""] if reply.headline else [""]
    lines += reading_lines(reply, words)
    lines += [f"• {escape(claim_text(claim))}" for claim in reply.why]
    if reply.would_change:
        change = words("say.would_change")
        lines += ["", f"[dim]{change}:[/dim]", *(f"• {escape(line)}" for line in reply.would_change)]
    lines += [f"[dim]{words('say.next_step')}:[/dim] {escape(reply.next_step)}"] if reply.next_step else []
    lines += [f"[dim]{words('say.cost')}:[/dim] {escape(reply.cost_line)}"] if reply.cost_line else []
    if reply.follow_up:
        lines += ["", f"[bold]?[/bold] {escape(reply.follow_up.text)}"]
        lines += [f"  - {escape(option)}" for option in reply.follow_up.options]
    for source in reply.citations:
        lines.append(f"[dim]{escape(f'[{source.number}] {source_text(source)}: “{source.quote}”')}[/dim]")
    return lines + ([f"[yellow]{escape(reply.note)}[/yellow]"] if reply.note else [])


_SERVICE_COMMANDS = {
    "status": ["`trainwise jobs list` shows them here."],
    "stop_job": ["`trainwise jobs list` shows them here, `trainwise jobs cancel ID` stops one."],
    "add_tickets": ["Here: `trainwise datasets add FILE`."],
    "add_documents": ["Here: `trainwise index add FILE`."],
}


def reading_lines(reply: Reply, words: Phrases) -> list[str]:
    """The lines on what was understood and how to correct it; all menus with their values when the reading is unsure."""
    if not reply.menus:
        return []
    lines = [f"[yellow]{escape(line)}[/yellow]" for line in reply.changes]
    if reply.choice is not None:
        options = " | ".join(f"--set {option.value}" for option in reply.choice.options)
        lines.append(f"[bold]?[/bold] {escape(reply.choice.text)}  {escape(options)}")
    parts = [
        f"{menu.label}{'?' if menu.certainty == 'guessed' else ''}" for menu in reply.menus if menu.selected
    ]
    reading = "; ".join(parts) or words("say.nothing")
    lines.append(f"[dim]{words('say.understood')}:[/dim] {escape(reading)}")
    if reply.menus_open or reply.choice is not None:
        for menu in reply.menus:
            values = ", ".join(option.value for option in menu.options)
            lines.append(f"  [dim]--set {menu.name}=[/dim]{escape(values)}")
    else:
        names = ", ".join(menu.name for menu in reply.menus)
        lines.append(
            f"[dim]{words('say.wrong')}: --set NAME=VALUE ({names}), for example --set task=reply[/dim]"
        )
    return [*lines, ""]


def source_text(source: Citation) -> str:
    """The place of a quote: document, section, address."""
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
    """A progress bar for a job's events (`phase`, `step`, `note`), as a context manager."""

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


MANY_STEPS = 5_000  # a larger number counts rows of a file


def step_detail(event: Mapping[str, Any]) -> str:
    """The text of a step event: `step 12/60, loss 1.234, 40 s left`, without missing parts."""
    step, steps = event["step"], event["steps"]
    parts = [f"step {step}/{steps}" if steps < MANY_STEPS else f"{step:,} of about {steps:,}"]
    if event.get("loss") is not None:
        parts.append(f"loss {event['loss']:.3f}")
    if event.get("eta_s") is not None:
        parts.append(f"{event['eta_s']:.0f} s left")
    return ", ".join(parts)


TRIAGE = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
REPLY = {"chrf": "chrF", "rouge_l": "ROUGE-L", "facts_from_ticket": "facts from ticket"}


def measures_of(systems: Sequence[SystemLine]) -> Mapping[str, str]:
    """The metrics of a report's systems with their titles: those of replies or those of triage."""
    return REPLY if any("chrf" in system.scores for system in systems) else TRIAGE


def system_rows(
    systems: Sequence[SystemLine], measures: Sequence[str] = tuple(TRIAGE)
) -> list[tuple[str, ...]]:
    """The name and metrics of each system with 95% intervals; a star marks the best baseline."""
    rows: list[tuple[str, ...]] = []
    for system in systems:
        few = f" ({system.rows} tickets)" if system.rows is not None else ""
        name = f"{'* ' if system.best else ''}{system.name}{few}"
        rows.append((name, *(interval(system.scores.get(measure)) for measure in measures)))
        if folds := system.cross_validated:
            over = f"  over all {folds.rows}, {folds.folds} folds"
            rows.append((over, *(interval(folds.scores.get(measure)) for measure in measures)))
        if system.expected:
            rows.append(
                ("  expected over all folds", interval(system.expected), *["-"] * (len(measures) - 1))
            )
    return rows


def interval(score: Score | None) -> str:
    """`91.2 (88.0-93.9)` in percent; a dash when it was not measured."""
    if score is None:
        return "-"
    if score.low is None or score.high is None:
        return f"{100 * score.value:.1f}"
    return f"{100 * score.value:.1f} ({100 * score.low:.1f}-{100 * score.high:.1f})"


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

"""The channel retold in the terminal, from the log of Web API calls that the workspace received."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bot.demo.transcript import message_lines
from bot.playground.client.person import Person
from bot.playground.errors import PlaygroundError

SHOWN = ("chat.postMessage", "chat.postEphemeral", "chat.stopStream", "views.open")
INDENT = "  │ "


class Retelling:
    """Prints each call once, as it arrives; changes of the job's card move a progress bar instead."""

    def __init__(self, console: Console, watcher: Person, check: Callable[[], None]) -> None:
        self.console, self.watcher, self.check = console, watcher, check
        self.seen = 0
        self.streams: dict[str, list[Mapping[str, Any]]] = {}
        columns = [TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%")]
        self.bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self.task = self.bar.add_task("", total=100, visible=False)

    def __enter__(self) -> Retelling:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def person(self, name: str, channel: str, text: str) -> None:
        """What a person does, as typed into the workspace."""
        self.console.print(
            f"\n[bold cyan]{name}[/bold cyan] [dim]{channel}[/dim]\n  {escape(text)}", highlight=False
        )

    def modal(self, view: Mapping[str, Any]) -> None:
        """A form that the bot opened."""
        title = view["title"]["text"]
        labels = [b["label"]["text"] for b in view["blocks"] if b["type"] == "input"]
        self.say("opens a form", [f"{title}: {', '.join(labels)}"])

    def until(self, done: Callable[[], bool], what: str, limit: float = 60.0) -> None:
        """Retell what arrives until `done`; PlaygroundError when it takes longer than `limit` seconds."""
        end = time.monotonic() + limit
        while True:
            finished = done()
            self.catch_up()
            if finished:
                self.bar.update(self.task, visible=False)
                return
            self.check()
            if time.monotonic() > end:
                raise PlaygroundError(f"Waited {limit:.0f} s for {what}.")
            time.sleep(0.2)

    def catch_up(self) -> None:
        """Print the calls received since the last time."""
        for call in self.watcher.api_log(self.seen):
            self.seen = call["n"]
            if call["response"].get("ok"):
                self.retell(call["method"], call["params"], call["response"])

    def retell(self, method: str, params: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        """One accepted call."""
        if method == "chat.update":
            self.update(params)
        elif method == "chat.postMessage":
            self.message("", params)
        elif method == "chat.postEphemeral":
            self.message("only visible to one person", params)
        elif method in ("chat.appendStream", "chat.startStream"):
            self.streams.setdefault(str(response.get("ts")), []).extend(as_list(params.get("chunks")))
        elif method == "chat.stopStream":
            self.streamed(params, str(response.get("ts")))
        elif method == "files.completeUploadExternal":
            names = ", ".join(str(f.get("title") or f.get("id")) for f in as_list(params.get("files")))
            self.say("uploads", [f"[image] {names}"])

    def streamed(self, params: Mapping[str, Any], ts: str) -> None:
        """An answer that came as a stream: its steps, its text, then the card."""
        chunks = [*self.streams.pop(ts, []), *as_list(params.get("chunks"))]
        steps = [
            c["title"] for c in chunks if c.get("type") == "task_update" and c.get("status") == "complete"
        ]
        text = "".join(c.get("text", "") for c in chunks if c.get("type") == "markdown_text")
        text += str(params.get("markdown_text") or "")
        lines = [f"✓ {step}" for step in dict.fromkeys(steps)] + text.splitlines()
        self.say("streams an answer in the thread", lines + message_lines(as_list(params.get("blocks"))))

    def message(self, how: str, params: Mapping[str, Any]) -> None:
        where = how or ("in the thread" if params.get("thread_ts") else "in the channel")
        self.say(where, message_lines(as_list(params.get("blocks")), str(params.get("text") or "")))

    def update(self, params: Mapping[str, Any]) -> None:
        """A changed card: its bar, step and loss; printed whole once it offers no Cancel any more."""
        lines = message_lines(as_list(params.get("blocks")), str(params.get("text") or ""))
        running = any("[Cancel" in line for line in lines)
        if not running:
            self.bar.update(self.task, visible=False)
            self.say("updates the card", lines)
            return
        share = next((line for line in lines if ("%" in line and "█" in line) or "░" in line), "")
        percent = float(share.rsplit("%", 1)[0].split()[-1]) if share else 0.0
        status = lines[1] if len(lines) > 1 else lines[0]
        self.bar.update(self.task, visible=True, completed=percent, description=status.replace("*", ""))
        if not self.console.is_terminal:
            self.console.print(f"[dim]  … {escape(status)} {escape(share)}[/dim]", highlight=False)

    def say(self, where: str, lines: list[str]) -> None:
        self.console.print(f"[bold green]trainwise[/bold green] [dim]{where}[/dim]")
        for line in lines:
            self.console.print(f"{INDENT}{escape(line)}", highlight=False)


def as_list(value: Any) -> list[Any]:
    """Blocks, chunks or files, which calls carry as a list or as JSON text."""
    if isinstance(value, str):
        return list(json.loads(value)) if value[:1] == "[" else []
    return list(value or [])

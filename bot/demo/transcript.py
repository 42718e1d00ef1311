"""Renders Slack messages as terminal text, from the payloads that the workspace's API received."""

from __future__ import annotations

import html
import json
import re
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bot.playground.client.person import Person
from bot.playground.errors import PlaygroundError
from bot.playground.patience import Patience
from bot.playground.state.seed import first_users

Block = Mapping[str, Any]

LINK = re.compile(r"<((?:https?|mailto)[^|>]*)\|([^>]*)>")
BARE_LINK = re.compile(r"<((?:https?|mailto):[^>]*)>")
MENTION = re.compile(r"<@(\w+)>")
NAMES = {user.id: user.name for user in first_users("trainwise")}


def plain(mrkdwn: str) -> str:
    """Slack's mrkdwn as plain text: `<url|label>` becomes `label (url)`, a mention the person's name."""
    mrkdwn = MENTION.sub(lambda m: f"@{NAMES.get(m[1], m[1])}", mrkdwn)
    text = LINK.sub(lambda m: m[2] if m[2] == m[1] else f"{m[2]} ({m[1]})", mrkdwn)
    return html.unescape(BARE_LINK.sub(r"\1", text))


def text_of(item: Any) -> str:
    """The text of a text object, an element or a plain string; "" without one."""
    if isinstance(item, str):
        return plain(item)
    if isinstance(item, Mapping):
        inner = item.get("text", item.get("alt_text", ""))
        return text_of(inner)
    return ""


def button_label(element: Block) -> str:
    return f"[{text_of(element)}]" if element.get("type") == "button" else text_of(element.get("placeholder"))


def rich_text_lines(element: Block) -> list[str]:
    """One rich_text element (section, list, quote, preformatted) as lines."""
    parts = element.get("elements", [])
    if element.get("type") == "rich_text_list":
        return [f"• {' '.join(rich_text_lines(part))}" for part in parts]
    text = "".join(part.get("text") or part.get("url") or f"@{part.get('user_id', '')}" for part in parts)
    mark = "> " if element.get("type") == "rich_text_quote" else ""
    return [mark + line for line in text.splitlines()]


def cell_text(cell: Any) -> str:
    if isinstance(cell, Mapping) and cell.get("type") == "rich_text":
        return " ".join(line for part in cell["elements"] for line in rich_text_lines(part))
    return text_of(cell)


def table_lines(block: Block) -> list[str]:
    """A table block with its columns aligned."""
    rows = [[cell_text(cell) for cell in row] for row in block.get("rows", [])]
    if not rows:
        return []
    widths = [max(len(row[i]) if i < len(row) else 0 for row in rows) for i in range(max(map(len, rows)))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip() for row in rows]


def section_lines(block: Block) -> list[str]:
    lines = text_of(block.get("text")).splitlines()
    for field in block.get("fields", []):
        lines += [f"  {line}" for line in text_of(field).splitlines()]
    accessory = block.get("accessory")
    return [*lines, button_label(accessory)] if accessory else lines


def image_lines(block: Block) -> list[str]:
    return [f"[image] {text_of(block.get('title')) or block.get('alt_text', '')}"]


RENDER: dict[str, Callable[[Block], list[str]]] = {
    "header": lambda b: [text_of(b.get("text")).upper()],
    "section": section_lines,
    "divider": lambda b: ["─" * 40],
    "context": lambda b: ["  ".join(text_of(element) for element in b.get("elements", []))],
    "actions": lambda b: ["  ".join(button_label(element) for element in b.get("elements", []))],
    "context_actions": lambda b: ["[👍] [👎]"],
    "markdown": lambda b: plain(b.get("text", "")).splitlines(),
    "rich_text": lambda b: [line for part in b.get("elements", []) for line in rich_text_lines(part)],
    "table": table_lines,
    "image": image_lines,
    "alert": lambda b: [f"⚠ {text_of(b.get('text'))}"],
}


def message_lines(blocks: Iterable[Block] | None, text: str = "") -> list[str]:
    """The lines of a message: its blocks in order, or `text` without known blocks."""
    lines = [
        line for block in blocks or () for line in RENDER.get(block.get("type", ""), lambda b: [])(block)
    ]
    return [line for line in lines if line.strip()] or plain(text).splitlines()


SHOWN = ("chat.postMessage", "chat.postEphemeral", "chat.stopStream", "views.open")
INDENT = "  │ "


class Transcript:
    """Prints each received call once; updates of the job's card move a progress bar instead."""

    def __init__(self, console: Console, watcher: Person, check: Callable[[], None]) -> None:
        self.console, self.watcher, self.check = console, watcher, check
        self.last_call = 0
        self.streams: dict[str, list[Mapping[str, Any]]] = {}
        columns = [TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%")]
        self.bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self.task = self.bar.add_task("", total=100, visible=False)

    def __enter__(self) -> Transcript:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def person(self, name: str, channel: str, text: str) -> None:
        """Prints what a person types."""
        self.console.print(
            f"\n[bold cyan]{name}[/bold cyan] [dim]{channel}[/dim]\n  {escape(text)}", highlight=False
        )

    def modal(self, view: Mapping[str, Any]) -> None:
        """Prints the title and fields of a form that the bot opened."""
        title = view["title"]["text"]
        labels = [b["label"]["text"] for b in view["blocks"] if b["type"] == "input"]
        self.say("opens a form", [f"{title}: {', '.join(labels)}"])

    def view(self, view: Mapping[str, Any]) -> None:
        """Prints the content of an open form."""
        title = text_of(view.get("title"))
        self.say(f"shows in the form {title}", message_lines(as_list(view.get("blocks"))))

    def until(
        self,
        condition: Callable[[], bool],
        what: str,
        limit: float = 60.0,
        sign: Callable[[], object] = lambda: None,
    ) -> None:
        """Prints received calls until `condition`; raises PlaygroundError after `limit` seconds of this machine's time without
        a new call and without a change of `sign`."""
        patience = Patience(limit)
        while True:
            over = condition()
            self.catch_up()
            if over:
                self.bar.update(self.task, visible=False)
                return
            self.check()
            if patience.is_over((self.last_call, sign())):
                raise PlaygroundError(f"Waited {patience} for {what}, and the bot said nothing meanwhile.")
            time.sleep(0.2)

    def catch_up(self) -> None:
        """Prints the calls that were received since the last time."""
        for call in self.watcher.api_log(self.last_call):
            self.last_call = call["n"]
            if call["response"].get("ok"):
                self.print_call(call["method"], call["params"], call["response"])

    def print_call(self, method: str, params: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        """Prints one accepted call."""
        if method == "chat.update":
            self.update(params)
        elif method == "chat.postMessage":
            self.message("", params)
        elif method == "chat.postEphemeral":
            self.message("only visible to one person", params)
        elif method in ("chat.appendStream", "chat.startStream"):
            self.streams.setdefault(str(response.get("ts")), []).extend(as_list(params.get("chunks")))
        elif method == "chat.stopStream":
            self.end_stream(params, str(response.get("ts")))
        elif method == "files.completeUploadExternal":
            names = ", ".join(str(f.get("title") or f.get("id")) for f in as_list(params.get("files")))
            self.say("uploads", [f"[image] {names}"])

    def end_stream(self, params: Mapping[str, Any], ts: str) -> None:
        """Prints a streamed answer: its steps, its text, then the card."""
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
        """Shows an updated card as a progress bar; prints the whole card when it has no Cancel button any more."""
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
        for line in "\n".join(lines).splitlines():
            for piece in textwrap.wrap(line, self.console.width - len(INDENT), replace_whitespace=False) or [
                line
            ]:
                self.console.print(f"{INDENT}{escape(piece)}", highlight=False)


def as_list(value: Any) -> list[Any]:
    """Parses blocks, chunks or files, which calls carry as a list or as JSON text."""
    if isinstance(value, str):
        return list(json.loads(value)) if value[:1] == "[" else []
    return list(value or [])

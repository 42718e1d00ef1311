"""Generates the reference pages docs/settings.md and docs/cli.md from the code: `python -m bot.cli.reference`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
import typer.cli
import typer.main

from bot.settings import HELP, PLATFORM_VARIABLES, SECRET_NAMES, Secret, SettingsReader, load_settings

DOCS = Path(__file__).parents[2] / "docs"
MADE_BY = "<!-- Made by `make docs` from the code. Do not edit. -->"


@dataclass(frozen=True)
class Variable:
    """One environment variable with its default and its allowed values as text."""

    name: str
    default: str
    values: str


class VariableRecorder(SettingsReader):
    """A SettingsReader that records each variable that is read."""

    variables: list[Variable]

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        VariableRecorder.variables = []

    def _list(self, name: str, default: str, values: str) -> None:
        if all(variable.name != name for variable in self.variables):
            self.variables.append(Variable(name, default, values))

    def text(self, name: str, default: str) -> str:
        self._list(name, default.replace(str(Path.home()), "~"), "text")
        return super().text(name, default)

    def secret(self, name: str) -> Secret | None:
        is_secret = name in SECRET_NAMES or name in PLATFORM_VARIABLES
        kind = "a secret" if is_secret else "an address"
        self._list(name, "", f"{kind}, or `{name}_FILE` names a file (mode 600) that holds it")
        return super().secret(name)

    def url(self, name: str, https: bool = False) -> str | None:
        self._list(name, "", "an https address" if https else "an http(s) address")
        return super().url(name, https)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        self._list(name, choices[0], ", ".join(f"`{choice}`" for choice in choices))
        return super().choice(name, choices)

    def number(self, name: str, default: float, *, low: float, high: float, whole: bool = False) -> float:
        kind = "a whole number" if whole else "a number"
        self._list(name, f"{default:g}", f"{kind} from {low:,g} to {high:,.0f}")
        return super().number(name, default, low=low, high=high, whole=whole)

    def existing_file(self, name: str) -> Path | None:
        self._list(name, "", "a file")
        return super().existing_file(name)

    def files_by_channel(self, name: str) -> dict[str, tuple[Path, ...]]:
        self._list(name, "", "`CHANNEL=FILE`, comma between")
        return super().files_by_channel(name)

    def slack_ids(self, name: str, kinds: str, other: str = "(?!)") -> frozenset[str]:
        values = "Slack ids" if other == "(?!)" else "Slack ids and domains like `name.slack.com`"
        self._list(name, "", f"{values}, comma between")
        return super().slack_ids(name, kinds, other)


def read_variables() -> list[Variable]:
    """Every environment variable that the settings read, in their order."""
    load_settings({}, VariableRecorder)
    return VariableRecorder.variables


def settings_page() -> str:
    """docs/settings.md: a table of every variable; KeyError for one that HELP does not explain."""
    rows = [
        f"| `{v.name}` | {HELP[v.name]} | {f'`{v.default}`' if v.default else ''} | {v.values} |"
        for v in read_variables()
    ]
    head = (
        "# Settings\n\n"
        f"{MADE_BY}\n\n"
        "Environment variables, read in one place (`bot/settings.py`). All problems are reported at once, each with its\n"
        "variable and what to do. `trainwise doctor` pings what they name. Without any, everything works on this machine.\n\n"
        "| variable | what it is for | default | values |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def cli_page() -> str:
    """docs/cli.md: every command with its options, as `--help` shows them."""
    from bot.cli.app import app, register

    register()
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="trainwise")
    text = typer.cli.get_docs_for_click(obj=command, ctx=context, name="trainwise", title="The command")
    title, _, rest = text.partition("\n")
    lines = [line for line in rest.splitlines() if not line.startswith("* `--help`")]
    page = "\n".join(lines).replace("**Options**:\n\n\n", "")
    return f"{title}\n\n{MADE_BY}\n{page.rstrip()}\n"


PAGES = {"settings.md": settings_page, "cli.md": cli_page}


def write_pages(folder: Path = DOCS) -> None:
    """Write both pages."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages()

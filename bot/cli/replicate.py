"""`trainwise replicate push`: publishes our model on Replicate; jobs are trainings of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.console import console
from bot.errors import BotError

ROOT = Path(__file__).parents[2]
COPIED_PATHS = ("bot", "finetune", "rag", "worker", "pyproject.toml", "manifest.yml", "README.md", "LICENSE")
MODEL = re.compile(r"[a-z0-9][a-z0-9_.-]*/[a-z0-9][a-z0-9_.-]*")

app = typer.Typer(no_args_is_help=True, help="Our model on Replicate, of which jobs are trainings.")


def register(root: typer.Typer) -> None:
    """Add the group to `trainwise`."""
    root.add_typer(app, name="replicate")


@app.callback()
def group() -> None:
    """Our model on Replicate, of which jobs are trainings."""


@app.command()
def push(
    model: Annotated[str, typer.Argument(help="The model there: OWNER/NAME, made on replicate.com before.")],
) -> None:
    """Build our image with Cog and push it to Replicate; needs Docker, `cog` and `cog login`, and this source tree."""
    if not MODEL.fullmatch(model):
        raise BotError(f"{model[:60]!r} is no model of Replicate: write OWNER/NAME.")
    files = ROOT / "deploy" / "replicate"
    if not files.is_dir():
        raise BotError(
            "deploy/replicate is not here: run this in a checkout of Trainwise, not in an installed package."
        )
    cog = shutil.which("cog")
    if cog is None:
        raise BotError("Cog is not installed here: see https://cog.run, then `cog login`, and do this again.")
    with tempfile.TemporaryDirectory(prefix="trainwise-cog-") as folder:
        copy_sources(files, Path(folder))
        result = subprocess.run([cog, "push", f"r8.im/{model}"], cwd=folder, check=False)
    if result.returncode:
        raise BotError(
            f"Cog ended with {result.returncode}; what it printed above says why. Nothing here has changed."
        )
    console.print(
        "Add the version that Cog printed to TRAINWISE_REPLICATE_TRAINERS "
        f"({model}:VERSION=dollars an hour of its hardware), then start the bot again."
    )


def copy_sources(files: Path, folder: Path) -> None:
    """Copies our code, its lock file and the entry points into the folder that Cog builds."""
    for part in COPIED_PATHS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    shutil.copy2(ROOT / "deploy" / "worker.lock", folder / "worker.lock")
    for path in files.iterdir():
        if path.is_file():
            shutil.copy2(path, folder / path.name)

"""`trainwise remote`: the entry point of our image on a platform's machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from finetune.platforms.contract import RUN_KEY


def register(root: typer.Typer) -> None:
    """Add the command to `trainwise`."""
    root.command()(remote)


def remote(
    place: Annotated[
        str, typer.Argument(help="The run's place: RUNS/TAG, a mounted folder or an fsspec URL.")
    ],
    bot_key: Annotated[str, typer.Option(help="The bot's public key, the line of keys/bot.pub.")],
    run_key: Annotated[
        str,
        typer.Option(
            envvar=RUN_KEY, help="The run's secret, which proves what it writes; only by this variable."
        ),
    ],
) -> None:
    """Run one signed order on a platform's machine: the bot passes this command to the container, nobody types it."""
    from finetune.platforms.run_key import RunKey
    from finetune.platforms.runs import RunStore
    from worker.runtime.remote import Container
    from worker.transport.signing import parse_public

    url, _, tag = place.rstrip("/").rpartition("/")
    container = Container(RunStore(url), RunKey(tag, run_key), parse_public(bot_key), sys.stdout)
    raise typer.Exit(container.run())

"""`trainwise remote`: the entry point of our image on a platform's machine."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from finetune.platforms.contract import RUN_KEY

GROUP_LIFE_S = 10.0


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
    machines: Annotated[
        str, typer.Option(help="The group of a Ray cluster to train over: 2x4gpu; PLACE is on all of them.")
    ] = "",
) -> None:
    """Run one signed order on a platform's machine: the bot passes this command to the container, nobody types it."""
    from finetune.platforms.run_key import RunKey
    from finetune.platforms.runs import RunStore
    from worker.runtime.machine_group import shape_of
    from worker.runtime.remote import Container
    from worker.transport.signing import parse_public

    url, _, tag = place.rstrip("/").rpartition("/")
    container = Container(RunStore(url), RunKey(tag, run_key), parse_public(bot_key), sys.stdout)
    if not machines:
        raise typer.Exit(container.run())
    container.shape, container.life_s = shape_of(machines), GROUP_LIFE_S
    status = container.run()
    sys.stdout.flush()
    os._exit(status)  # Ray's own leave-taking may wait for a head that is gone

"""`trainwise serve` and `versions`: serves tuned models over HTTP, and chooses the version that answers."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bot.cli.console import console, settings
from bot.cli.models import model_folder
from bot.errors import BotError

if TYPE_CHECKING:
    from finetune.serving.server.engine import Engine
    from finetune.serving.versions import Versions

DAY = "%Y-%m-%d %H:%M"


def register(root: typer.Typer) -> None:
    """Add the commands of this file to `trainwise`."""
    root.command("serve")(serve_models)
    root.command("versions")(show_versions)


def serve_models(
    jobs: Annotated[
        list[str], typer.Argument(metavar="JOB...", help="Jobs to serve, or names that are served already.")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than loopback needs --keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.")] = 8100,
    keys: Annotated[
        Path | None, typer.Option(help="A file with a line `NAME KEY` for each client, chmod 600.")
    ] = None,
    per_minute: Annotated[float, typer.Option(help="Tickets a minute that one name may send.")] = 600,
    error_rate: Annotated[
        float | None, typer.Option(help="Share of wrong answers to promise, 0.1 for 10%; the rest abstains.")
    ] = None,
    share: Annotated[
        float,
        typer.Option(help="Give a job's version this % of the tickets, beside the one that answers now."),
    ] = 0,
    threads: Annotated[int, typer.Option(help="Tickets that are scored at the same time.")] = 2,
    queue: Annotated[int, typer.Option(help="Tickets that may wait; more get 503.")] = 256,
    slowest_ms: Annotated[float, typer.Option(help="A version slower than this (95%) goes off duty.")] = 1000,
    only_make: Annotated[bool, typer.Option(help="Make the versions and stop.")] = False,
    backend: Annotated[
        str,
        typer.Option(help="How a job's version is made: onnx, or for replies llama-cpp (CPU), vllm (GPU)."),
    ] = "",
    engine: Annotated[str, typer.Option(help="Where vLLM listens, for example http://127.0.0.1:8001.")] = "",
    engine_key: Annotated[Path | None, typer.Option(help="A file with vLLM's key, chmod 600.")] = None,
) -> None:
    """Serve tuned models over HTTP: queues with a promised error rate, or drafts of replies."""
    from finetune.serving.deploy import open_version
    from finetune.serving.server.engine import Engine
    from finetune.serving.server.metrics import Metrics
    from finetune.serving.server.process import Options, serve

    if error_rate is not None and not 0 < error_rate < 1:
        raise BotError(f"An error rate of {error_rate:g} is none: give a share such as 0.1 for 10%.")
    if engine:
        from finetune.serving.versions import names_served
        from finetune.serving.vllm_client import name_engine

        place = serving_place()
        names = [one for one in names_served(place) if one in jobs]  # each base has a port of its own
        for folder in [place / one for one in names] or [place]:
            name_engine(folder, engine, engine_key)
    places = {
        versions.name: versions for versions in (_prepare(job, error_rate, share, backend) for job in jobs)
    }
    if only_make:
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")

    def make_engine() -> Engine:
        return Engine(list(places.values()), open_version, Metrics(), threads, queue, slowest_ms / 1000)

    def say(address: str) -> None:
        console.print(
            f"Serving {', '.join(places)} at {address} (POST /v1/triage, /v1/chat/completions). Ctrl-C ends it.",
            highlight=False,
        )

    serve(make_engine, Options(host, port, keys, per_minute), say)


def show_versions(
    name: Annotated[str, typer.Argument(help="What is served; without it everything is listed.")] = "",
    use: Annotated[str, typer.Option(help="Let this version answer every ticket.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Go back to the version before.")] = False,
    trial: Annotated[str, typer.Option(help="Give this version a share of the tickets.")] = "",
    share: Annotated[float, typer.Option(help="With --trial: the share in %; 0 ends the trial.")] = 10,
) -> None:
    """List the versions of served models, and say which one answers. A running server follows within seconds."""
    from finetune.serving.versions import Versions, names_served

    place = serving_place()
    if not name:
        for one in names_served(place):
            console.print(f"{one}: {Versions(place, one).pointer().current}", highlight=False)
        return
    versions = Versions(place, name)
    who = "from the terminal"
    if use:
        versions.use(use, who)
    if trial:
        versions.share(trial, share, who)
    if back and versions.roll_back(who) is None:
        raise BotError(f"There is no version of {versions.name} before {versions.pointer().current}.")
    _print(versions)


def serving_place() -> Path:
    """The folder of versions, beside the jobs' artifacts."""
    from bot.factories import artifacts_folder
    from finetune.serving.deploy import FOLDER

    return artifacts_folder(settings()) / FOLDER


def _prepare(job: str, error_rate: float | None, share: float, backend: str = "") -> Versions:
    """The versions of a job's served name; makes the job's version if it is missing and sets the pointer.

    A child process loads the training library, so that the server's process stays small.
    """
    from finetune.serving.versions import VersionError, Versions

    place = serving_place()
    try:
        versions_there = Versions(place, job)
        pointer = versions_there.pointer()
    except VersionError:
        pointer = None
    if pointer is not None:
        # otherwise a restart would end a trial or undo a rollback
        if error_rate not in (None, pointer.error_rate):
            versions_there.use(pointer.current, "another promise", error_rate)
        return versions_there
    folder = model_folder(job)
    console.print(f"Making a version of {job}: exported, scored on its held-out tickets.", highlight=False)
    name, version = make_in_child(folder, Path(job).name, place, backend)
    versions = Versions(place, name)
    if share:
        versions.share(version, share, "from the terminal")
    else:
        versions.use(version, "from the terminal", error_rate)
    return versions


def make_in_child(folder: Path, version: str, place: Path, backend: str = "") -> tuple[str, str]:
    """Makes the version of a job's folder in a child process; returns its served name and version."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(_make, folder, version, place, settings().datasets_url, backend).result()


def _make(folder: Path, version: str, place: Path, datasets_url: str, backend: str) -> tuple[str, str]:
    """Makes the version; a backend other than the task's default gets its own version name, JOB-BACKEND."""
    from finetune.data.store import DatasetStore
    from finetune.serving.backends import backend_for
    from finetune.serving.deploy import make_version

    store = DatasetStore(datasets_url)
    if backend and backend_for(folder, backend)[0] != backend_for(folder)[0]:
        version = f"{version}-{backend}"
    return make_version(folder, version, place, store.tickets, backend_name=backend).name, version


def _print(versions: Versions) -> None:
    pointer = versions.pointer()
    table = Table("version", "answers", "since", box=None)
    for version in versions.list():
        share = f"{pointer.percent:g}% of the tickets" if version == pointer.trial else ""
        mark = "the rest" if share == "" and version == pointer.current and pointer.trial else share
        if version == pointer.current and not pointer.trial:
            mark = "every ticket"
        since = time.strftime(DAY, time.localtime(pointer.at)) if version == pointer.current else ""
        table.add_row(version, mark, since)
    console.print(table)
    console.print(
        f"Promised error rate: {pointer.error_rate:.0%}. Last change: {pointer.why or '-'}", highlight=False
    )

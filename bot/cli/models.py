"""`trainwise try`, `export` and `erase-model`: answers of a finished job's model, its files, and erasing a hosted one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.console import console, settings, working
from bot.cli.report import AsJson
from bot.errors import BotError


def register(root: typer.Typer) -> None:
    """Add the commands of this file to `trainwise`."""
    root.command("try")(try_model)
    root.command("export")(export_model)
    root.command("erase-model")(erase_model)


def try_model(
    job: Annotated[str, typer.Argument(help="The job whose model answers, or a model's folder.")],
    text: Annotated[str, typer.Argument(help="A ticket.")],
    as_json: AsJson = False,
) -> None:
    """Answer one ticket before and after training, side by side."""
    if not text.strip():
        raise BotError('There is no ticket text: `trainwise try JOB "my invoice is wrong"`.')
    with working("Loading the model"):
        from bot.cli.output import print_sides
        from bot.factories import hosted_endpoint
        from finetune.serving.predict import try_both

        find_endpoint = partial(hosted_endpoint, settings())
        sides = try_both(model_folder(job), text, find_endpoint=find_endpoint)
    print_sides(console, sides, as_json)


def export_model(
    job: Annotated[str, typer.Argument(help="The job whose model is wanted, or a model's folder.")],
    out: Annotated[Path | None, typer.Argument(help="The new folder; default: JOB-model, here.")] = None,
    merged: Annotated[bool, typer.Option(help="Fold the adapter into its base: loads without peft.")] = False,
    push_to: Annotated[str, typer.Option("--push", help="Also upload to OWNER/NAME with HF_TOKEN.")] = "",
    public: Annotated[bool, typer.Option(help="With --push: visible to everyone.")] = False,
) -> None:
    """Write a tuned model and its card to a folder, and on request to a model hub."""
    from finetune.serving.export import export, push

    token = settings().hub_token
    if push_to and not token:
        raise BotError("Set HF_TOKEN to a hub token with write access, then run this again.")
    out = out or Path(f"{Path(job).name}-model")
    files = export(model_folder(job), out, "merged" if merged else "adapter")
    size = sum(path.stat().st_size for path in files)
    console.print(f"{len(files)} files, {size / 1e6:.1f} MB in {out}", highlight=False)
    if push_to and token:
        console.print(f"Uploaded: {push(out, push_to, token.reveal(), private=not public)}", highlight=False)


def erase_model(
    job: Annotated[
        str, typer.Argument(help="The job whose hosted model is to go, or the model's name there.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a model at the platform that hosts it: nobody can ask it any more; the report stays."""
    from bot.factories import hosting_platform
    from finetune.artifacts import find_model, read_card
    from finetune.hosted import is_hosted
    from finetune.platforms import PLATFORMS
    from finetune.platforms.hosted_models import erase_hosted, is_model_name

    is_name = is_model_name(job, PLATFORMS.values())
    card = hosted_card(job) if is_name else read_card(find_model(model_folder(job)))
    if not is_hosted(card):
        raise BotError(f"The model of {job} lies in {model_folder(job)}: no platform hosts it.")
    name, label = card["hosted_model"], card["label"]
    if not yes and not typer.confirm(f"Delete {name} at {label}? It cannot be brought back."):
        raise typer.Exit(1)
    left = erase_hosted(hosting_platform(settings(), card), name)
    if left:
        raise BotError(f"Not erased: {left[0]}.")
    console.print(f"{label} has no model {name} any more.", highlight=False)


def hosted_card(name: str) -> dict[str, str]:
    """A minimal card for a hosted model without a job folder; raises BotError without its platform."""
    from bot.factories import platform_settings
    from finetune.hosted import METHOD
    from finetune.platforms import PLATFORMS
    from finetune.platforms.hosted_models import host_of_name

    platform = host_of_name(name, PLATFORMS.values(), platform_settings(settings()))
    if platform is None:
        raise BotError("No platform that hosts models is connected here: docs/platforms.md has the steps.")
    names = {"platform": platform.name, "label": platform.label, "hosted_model": name}
    return {"method": METHOD, **names}


def model_folder(job: str) -> Path:
    """The folder of a job's model: the given folder, a run of `--here` by name, or a job of the ledger."""
    from bot.factories import open_ledger

    here = settings().home / "runs" / job
    for folder in (Path(job), here):
        if folder.is_dir():
            return folder
    from bot.factories import artifacts_folder

    return artifacts_folder(settings()) / open_ledger(settings()).job(job).root

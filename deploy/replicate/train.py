"""Cog's entry point for a training of ours; everything it does is in worker/runtime/cog_training.py."""

import sys
import tempfile
from pathlib import Path as LocalPath

from cog import BaseModel, Input, Path, Secret


class TrainingOutput(BaseModel):
    """What Replicate keeps for an hour, and the bot fetches at once."""

    weights: Path


def train(
    run: Path = Input(description="The archive with the signed order and its rows."),
    tag: str = Input(description="The run's name."),
    bot_key: str = Input(description="The bot's public key."),
    run_key: Secret = Input(description="The secret that proves what the run writes."),
) -> TrainingOutput:
    """Run one signed order of a Trainwise bot."""
    from finetune.platforms.run_key import RunKey
    from worker.runtime.cog_training import train_run

    folder = LocalPath(tempfile.mkdtemp(prefix="trainwise-"))
    key = RunKey(tag, run_key.get_secret_value())
    return TrainingOutput(weights=Path(train_run(LocalPath(run), key, bot_key, folder, sys.stdout)))

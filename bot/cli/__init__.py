"""The command `trainwise`: one file per group of sub-commands."""

import os


def main() -> None:
    """Runs the command; sub-commands import their libraries when they are called.

    OpenMP threads sleep instead of spinning while they wait: with other work on the same cores spinning cost a training step
    2.8 times the CPU seconds (docs/decisions.md), and time limits count CPU seconds.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from bot.cli.app import main as run_command

    run_command()

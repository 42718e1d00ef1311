"""The command `trainwise`: one file for each group of sub-commands."""

import os


def main() -> None:
    """Run the command; the sub-commands load what they need when they are called.

    Threads that wait for each other sleep instead of spinning. With other work on the same cores spinning cost a
    training step 2.8 times the CPU seconds (docs/decisions.md), and time limits count CPU seconds.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from bot.cli.app import main as run_command

    run_command()

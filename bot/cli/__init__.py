"""The command `trainwise`: one file for each group of sub-commands."""


def main() -> None:
    """Run the command; the sub-commands load what they need when they are called."""
    from bot.cli.app import main as run

    run()

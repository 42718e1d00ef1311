"""`python -m bot.playground`: the workspace on its own, for an app that is started elsewhere."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from pathlib import Path

import yaml

from bot.playground.errors import PlaygroundError
from bot.playground.playground import Playground


def main() -> int:
    """Serve until Ctrl-C; prints the address and the environment the app needs."""
    parser = argparse.ArgumentParser(prog="python -m bot.playground", description=__doc__)
    parser.add_argument("--manifest", type=Path, default=Path("manifest.yml"), help="the app's manifest")
    parser.add_argument("--port", type=int, default=3939, help="0 picks a free one")
    parser.add_argument("--http", metavar="URL", help="deliver by signed HTTP to this request URL")
    parser.add_argument("--second", action="store_true", help="a second workspace, below /teams/ID")
    parser.add_argument("--store", type=Path, help="folder to keep the workspace in across restarts")
    args = parser.parse_args()
    try:
        manifest = yaml.safe_load(args.manifest.read_text())
        playground = Playground(manifest, args.port, args.http, args.store, args.second).start()
    except (OSError, yaml.YAMLError, PlaygroundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    lines = [f"# {playground.url} is your workspace. Start the app with:"]
    for name, value in environment(playground).items():
        lines.append(f"export {name}={shlex.quote(value)}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    end.wait()
    playground.stop()
    return 0


def environment(playground: Playground) -> dict[str, str]:
    """The settings by which an app finds this workspace; with a second one, those by which both install it."""
    tokens = playground.workspace.tokens
    installing = {
        "TRAINWISE_SLACK_CLIENT_ID": str(tokens["client_id"]),
        "TRAINWISE_SLACK_CLIENT_SECRET": str(tokens["client_secret"]),
    }
    return {
        "SLACK_API_URL": playground.api_url,
        "SLACK_BOT_TOKEN": playground.bot_token,
        "SLACK_APP_TOKEN": playground.app_token,
        "SLACK_SIGNING_SECRET": playground.signing_secret,
        **(installing if playground.others else {}),
    }


if __name__ == "__main__":
    raise SystemExit(main())

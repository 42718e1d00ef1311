"""The first five minutes, timed: a fresh clone, `make demo`, `make demo` again, `make test`.

Nothing of ours is reused: a new clone in a temporary folder, a home of its own, pip without its cache.
`--quick` times only the second start, in this checkout (its `.venv` is the baseline: installed already).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STARTED = re.compile(r"ready in ([\d.]+) s")


def run(command: list[str], folder: Path, home: Path) -> tuple[float, str]:
    """Wall seconds and output of a command that must succeed."""
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TRAINWISE_", "SLACK_", "OPENAI_"))},
        "PIP_NO_CACHE_DIR": "1",
        "HOME": str(home),
        "TRAINWISE_HOME": str(home / "trainwise"),
    }
    begin = time.monotonic()
    result = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}")
    return time.monotonic() - begin, result.stdout + result.stderr


def start_seconds(output: str) -> float | None:
    """What the demo itself says it took until the workspace, bot and queue stood ready."""
    match = STARTED.search(output)
    return float(match[1]) if match else None


def measure(quick: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        folder = ROOT if quick else Path(scratch) / "trainwise"
        result: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
        if not quick:
            subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
            result["first_demo_s"] = round(run(["make", "demo"], folder, home)[0], 1)
        seconds, output = run(["make", "demo"], folder, home)
        result |= {"demo_s": round(seconds, 1), "demo_ready_s": start_seconds(output)}
        if not quick:
            result["test_s"] = round(run(["make", "test"], folder, home)[0], 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.quick)
    for name, value in result.items():
        print(f"{name:<14} {value}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()

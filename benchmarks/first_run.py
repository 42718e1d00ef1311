"""The first five minutes, timed: a fresh clone, `make demo` with an empty cache, then `make demo` again.

For each of the lines that a newcomer waits for it tells the seconds by the clock and the CPU seconds of everything that
`make demo` started: first line, address, first answer, trainer ready, measured verdict, report, end. The baseline in
the same run is the second start, where everything is installed. `--load N` adds N processes that only burn CPU.
`--quick` runs the second start alone, in this checkout, and ends it after the first answer. Nothing of ours is reused in
the full form: a new clone in a temporary folder, a home of its own, pip without its cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from finetune.provenance import hardware

ROOT = Path(__file__).parents[1]
MARKS = {
    "first line": re.compile(r"\S"),
    "address": re.compile(r"The workspace is at"),
    "first answer": re.compile(r"streams an answer"),
    "trainer ready": re.compile(r"the trainer is ready"),
    "measured verdict": re.compile(r"presses the button to fine-tune"),
    "report": re.compile(r"presses \[Try it\]"),
}
FIRST_ANSWER = "first answer"
BURN = "while True: pass"


def tree_cpu_s(root: psutil.Process) -> float:
    """CPU seconds of a process, of its descendants, and of those that they waited for."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def follow(command: list[str], folder: Path, home: Path, last: str | None) -> dict[str, dict[str, float]]:
    """Wall and CPU seconds to each mark; `last` ends the command with Ctrl-C after that mark. Exits where it fails."""
    ours = ("TRAINWISE_", "SLACK_", "OPENAI_", "PYTHONPATH", "OMP_NUM_THREADS", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    env = kept | {
        "PIP_NO_CACHE_DIR": "1",
        "HOME": str(home),
        "TRAINWISE_HOME": str(home / "trainwise"),
        "PYTHONUNBUFFERED": "1",
    }
    begin = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    root, lines, is_stopped = psutil.Process(process.pid), [], False
    marks: dict[str, dict[str, float]] = {}
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        for name, pattern in MARKS.items():
            if name not in marks and pattern.search(line):
                marks[name] = {"wall_s": time.monotonic() - begin, "cpu_s": tree_cpu_s(root)}
        if last in marks and not is_stopped:
            os.killpg(process.pid, signal.SIGINT)
            is_stopped = True
    if process.wait() and not is_stopped:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(lines[-60:])}")
    return marks


def burn(processes: int, cleanup: ExitStack) -> None:
    """Starts processes that only burn CPU; they end with the stack."""
    for _ in range(processes):
        burner = subprocess.Popen([sys.executable, "-c", BURN])
        cleanup.callback(burner.wait)
        cleanup.callback(burner.kill)


def measure(quick: bool, load: int) -> dict[str, object]:
    """The marks of the first start (not with `quick`) and of the second."""
    result: dict[str, object] = {
        "machine": f"{hardware()}, Python {platform.python_version()}",
        "load": load,
    }
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as cleanup:
        home = Path(scratch) / "home"
        home.mkdir()
        burn(load, cleanup)
        if quick:
            demo = [sys.executable, "-m", "bot.cli", "demo"]
            follow(demo, ROOT, home, FIRST_ANSWER)  # builds the encoder and the index once
            result["second"] = follow(demo, ROOT, home, FIRST_ANSWER)
            return result
        folder = Path(scratch) / "trainwise"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        result["first"] = follow(["make", "demo"], folder, home, None)
        result["second"] = follow(["make", "demo"], folder, home, None)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--load", type=int, default=0, help="processes that only burn CPU meanwhile")
    options = parser.parse_args()
    result = measure(options.quick, options.load)
    print(f"{result['machine']}, load {result['load']}")
    for start in ("first", "second"):
        for name, figures in dict(result.get(start) or {}).items():  # type: ignore[call-overload]
            print(f"{start:<7} {name:<17} {figures['wall_s']:7.1f} s {figures['cpu_s']:7.1f} CPU-s")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()

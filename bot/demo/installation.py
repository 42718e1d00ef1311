"""Installs the packages for tickets and training while the demo already answers questions.

The bot alone needs a quarter of the megabytes. A marker file tells the running bot that the packages are being installed, so
a person who adds tickets too early is asked to wait.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import psutil
from rich.console import Console

from bot.demo import packages
from bot.errors import BotError
from bot.extras import INSTALLING, missing_modules
from bot.playground.patience import Patience

ROOT = Path(__file__).parents[2]
LARGE_MB = 20.0  # larger packages are printed
SILENCE_S = 300.0  # of this machine's time without a sign of life from the installer
WHEEL = re.compile(r"(?:Downloading|Processing|Using cached) (\S+\.whl)")  # of pip
PACKAGE = re.compile(r"Downloading (\S+) \(")  # of uv
SIZE = re.compile(r"\(([\d.]+) ?([kMG]B|[KMG]iB)\)")
MB_OF = {"kB": 1e-3, "MB": 1.0, "GB": 1e3, "KiB": 2**10 / 1e6, "MiB": 2**20 / 1e6, "GiB": 2**30 / 1e6}


class Installation:
    """Installs the extra `train` in a thread if one of its packages is missing.

    A context manager: its end stops the installer. `wait` returns when everything can be imported.
    """

    def __init__(self, home: Path, console: Console, command: Callable[[], list[str]] | None = None) -> None:
        self._console = console
        self._command = command or installer
        self._marker = home / "installing"
        self._lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self.is_needed = bool(missing_modules("train"))

    @property
    def env(self) -> Mapping[str, str]:
        """The variables for the bot: the marker's path while packages are missing."""
        return {INSTALLING: str(self._marker)} if self.is_needed else {}

    def __enter__(self) -> Installation:
        if self.is_needed:
            self._marker.touch()
            self._console.print(
                "[dim]Meanwhile the packages that read tickets and train are being installed ...[/dim]"
            )
            self._process = subprocess.Popen(
                self._command(), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._marker.unlink(missing_ok=True)

    def wait(self) -> None:
        """Waits for the installation; raises BotError with the installer's last lines when it failed."""
        if self._process is None or self._thread is None:
            return
        patience = Patience(SILENCE_S)
        while self._thread.is_alive():
            self._thread.join(1.0)
            if patience.is_over(self._sign()):
                self._process.terminate()
                raise BotError(
                    f"Waited {patience} for the installer, and it did nothing. {self._last_words()}"
                )
        if self._process.returncode:
            raise BotError(f"The trainer could not be installed. {self._last_words()}")
        self._marker.unlink(missing_ok=True)
        self._console.print("[dim]the trainer is ready[/dim]")
        self._process = None

    def _follow(self) -> None:
        """Reads the installer's output and prints a line for each large package."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            if text := large_package(line):
                self._console.print(f"[dim]  installing {text}[/dim]", highlight=False)
        self._process.wait()

    def _sign(self) -> tuple[int, float]:
        """A sign of life of the installer: its lines and its processes' CPU seconds (a large download prints nothing)."""
        assert self._process is not None
        seconds = 0.0
        with suppress(psutil.Error):
            top = psutil.Process(self._process.pid)
            for one in (top, *top.children(recursive=True)):
                with suppress(psutil.Error):
                    seconds += sum(one.cpu_times()[:2])
        return len(self._lines), round(seconds, 1)

    def _last_words(self) -> str:
        words = "\n".join(self._lines[-8:])
        return f"Run it by hand: {shlex.join(self._command())}\nIts output ends:\n{words}"


def large_package(line: str) -> str | None:
    """`torch 2.13.0 (201 MB)` for an installer's line about a package of at least LARGE_MB (uv prints no version)."""
    if match := WHEEL.search(line):
        name, version_, *_ = Path(match[1]).name.split("-")
        title = f"{name} {version_}"
    elif match := PACKAGE.search(line):
        title = match[1]
    else:
        return None
    size, file = SIZE.search(line), Path(match[1])
    if size:
        megabytes = float(size[1]) * MB_OF[size[2]]
    else:  # pip prints no size for a wheel in a local folder
        megabytes = file.stat().st_size / 1e6 if file.is_file() else 0.0
    return f"{title} ({megabytes:.0f} MB)" if megabytes >= LARGE_MB else None


def installer() -> list[str]:
    """The command that installs the extra `train` into this environment (bot/demo/packages.py).

    From a checkout with the versions of constraints.txt, else this version from the index.
    """
    checkout = (ROOT / "pyproject.toml").is_file()
    arguments = "-c constraints.txt -e .[train]" if checkout else f"trainwise[train]=={version('trainwise')}"
    return [sys.executable, "-u", str(Path(packages.__file__)), sys.prefix, arguments]

"""The installation during the demo: its output, the wait for it, its end with the demo, and its failure."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bot.demo.installation import Installation, large_package
from bot.errors import BotError
from bot.extras import INSTALLING

LINES = {
    "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (201.1 MB)": "torch 2.13.0 (201 MB)",
    "Downloading nvidia_cudnn_cu12-9.1.0.70-py3-none-manylinux2014_x86_64.whl (1.2 GB)": "nvidia_cudnn_cu12 9.1.0.70 (1200 MB)",
    "  Using cached scipy-1.17.0-cp311-cp311-macosx_14_0_arm64.whl (22.5 MB)": "scipy 1.17.0 (22 MB)",
    "  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)": None,
    "Downloading pyarrow (52.5MiB)": "pyarrow (55 MB)",
    "Downloading nltk (1.6MiB)": None,
    " Downloaded pyarrow": None,
    "Collecting torch==2.13.0 (from trainwise==0.1.0)": None,
}


def installation(home: Path, code: str) -> tuple[Installation, io.StringIO]:
    """An installation that runs `code` instead of the installer, and its printed lines."""
    out = io.StringIO()
    one = Installation(home, Console(file=out, width=200), lambda: [sys.executable, "-c", code])
    one.is_needed = True
    return one, out


@pytest.mark.parametrize(("line", "text"), LINES.items())
def test_large_packages_get_a_line(line: str, text: str | None) -> None:
    """As pip and uv print them when they fetch them, and from pip's cache."""
    assert large_package(line) == text


def test_a_wheel_in_a_folder_is_as_large_as_its_file(tmp_path: Path) -> None:
    """pip tells no size there."""
    wheel = tmp_path / "torch-2.13.0-py3-none-any.whl"
    with wheel.open("wb") as file:
        file.truncate(30_000_000)
    assert large_package(f"Processing {wheel}") == "torch 2.13.0 (30 MB)"


def test_the_marker_file_exists_until_everything_is_installed(tmp_path: Path) -> None:
    """Its path is in the bot's environment, so the bot can tell people to wait."""
    line = next(iter(LINES))
    one, out = installation(tmp_path, f"print({line!r})")
    marker = Path(one.env[INSTALLING])
    with one:
        assert marker.exists()
        one.wait()
        assert not marker.exists()
    assert "installing torch 2.13.0 (201 MB)" in out.getvalue()
    assert "the trainer is ready" in out.getvalue()


def test_an_installer_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    """And with the command to run by hand."""
    one, _ = installation(tmp_path, "print('no space left'); raise SystemExit(1)")
    with one, pytest.raises(BotError, match="no space left"):
        one.wait()


def test_a_silent_installer_is_waited_for_while_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large download prints nothing for minutes; an installer that does no work is given up."""
    monkeypatch.setattr("bot.demo.installation.SILENCE_S", 1.2)
    one, out = installation(tmp_path, "import time\nwhile time.process_time() < 3.5: pass")
    with one:
        one.wait()
    assert "the trainer is ready" in out.getvalue()
    one, _ = installation(tmp_path, "import time; time.sleep(600)")
    with one, pytest.raises(BotError, match="it did nothing"):
        one.wait()


def test_a_demo_that_ends_early_ends_the_installer(tmp_path: Path) -> None:
    """No process stays behind, and no marker."""
    one, _ = installation(tmp_path, "import time; time.sleep(600)")
    with one:
        process = one._process
    assert process is not None
    assert process.poll() is not None
    assert not (tmp_path / "installing").exists()


def test_nothing_is_done_where_everything_is_installed(tmp_path: Path) -> None:
    """As in the tests' own environment."""
    one = Installation(tmp_path, Console(file=io.StringIO()))
    assert not one.is_needed
    assert one.env == {}
    with one:
        one.wait()

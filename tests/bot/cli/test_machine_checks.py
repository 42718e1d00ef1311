"""`trainwise doctor` on other machines: each row of docs/install.md that a machine can fail has its finding."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli.doctor import CHECKS, disk, home
from bot.cli.findings import Level
from bot.cli.machine_checks import packages, port, processor, proxy, python, user
from bot.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]


def settings_of(folder: Path, **more: str) -> Settings:
    return load_settings({"TRAINWISE_HOME": str(folder), **more})


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 10), Level.FAIL),
        ((3, 11), Level.OK),
        ((3, 12), Level.OK),
        ((3, 14), Level.OK),
        ((3, 15), Level.WARN),
    ],
)
def test_a_python_without_wheels_is_told(tmp_path: Path, version: tuple[int, int], level: Level) -> None:
    """3.11 to 3.14 have a wheel of every package; an older one cannot run it, a newer one may need a compiler."""
    match = python(settings_of(tmp_path), version)
    assert match.level is level
    assert bool(match.fix) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("flags", "level", "part"),
    [
        ("fpu avx avx2 avx512f avx512_vnni", Level.OK, "AVX-512, VNNI"),
        ("fpu avx avx2", Level.OK, "no AVX-512 (not needed)"),
        ("fpu sse4_2 avx", Level.WARN, "no AVX2"),
        ("", Level.OK, ""),
    ],
)
def test_an_old_processor_is_told(tmp_path: Path, flags: str, level: Level, part: str) -> None:
    """AVX-512 is not needed; without AVX2 it is slow; where nothing can be read nothing is claimed."""
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n" if flags else "")
    match = processor(settings_of(tmp_path), tmp_path / "cpuinfo")
    assert (match.level, part in match.detail) == (level, True)


def test_root_is_warned_in_another_users_home(tmp_path: Path) -> None:
    """The owner could not change root's files; root in its own home and other users are fine."""
    assert user(settings_of(tmp_path), 1000).level is Level.OK
    own = os.stat(tmp_path).st_uid
    assert user(settings_of(tmp_path), 0).level is (Level.WARN if own else Level.OK)
    if os.getuid() == 0:
        os.chown(tmp_path, 1234, 1234)
        assert user(settings_of(tmp_path), 0).level is Level.WARN


def test_a_taken_port_is_told_in_http_mode_only(tmp_path: Path) -> None:
    """Socket Mode needs no port; a port of another program fails with the variable to change; a free port is fine."""
    assert port(settings_of(tmp_path)).level is Level.OFF
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        number = str(occupant.getsockname()[1])
        occupant.settimeout(0.1)
        http = settings_of(tmp_path, TRAINWISE_SLACK_MODE="http", TRAINWISE_HTTP_PORT=number)
        match = port(http)
    assert match.level is Level.FAIL
    assert "TRAINWISE_HTTP_PORT" in match.fix
    assert port(http).level is Level.OK


def test_a_proxy_is_reached_or_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether something listens at its address; name and password stay unsaid."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert proxy(settings_of(tmp_path)).level is Level.OFF
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("HTTPS_PROXY", f"http://maya:hunter2@127.0.0.1:{listening.getsockname()[1]}")
        assert proxy(settings_of(tmp_path)).level is Level.OK
    match = proxy(settings_of(tmp_path))
    assert match.level is Level.FAIL
    assert "HTTPS_PROXY" in match.fix
    assert "hunter2" not in str(match)


def test_a_home_that_cannot_be_written_fails_with_the_variable_to_set(tmp_path: Path) -> None:
    """A file in the folder's place, and a file system that takes nothing."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "home", Path("/proc/trainwise")):
        match = home(settings_of(place))
        assert match.level is Level.FAIL
        assert "TRAINWISE_HOME" in match.fix


FULL = """
set -e
mount -t tmpfs -o size=64k none "$1"
head -c 65536 /dev/zero > "$1/filler" 2>/dev/null || true
exec "$2" -c "
import sys; from pathlib import Path
from bot.cli.doctor import disk, home; from bot.settings import load_settings
settings = load_settings({'TRAINWISE_HOME': sys.argv[1]})
print(home(settings)); print(disk(settings))" "$1"
"""
READ_ONLY = FULL.replace(
    'head -c 65536 /dev/zero > "$1/filler" 2>/dev/null || true', 'mount -o remount,ro "$1"'
)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("script", "reason"), [(FULL, "No space left"), (READ_ONLY, "Read-only file system")]
)
def test_a_full_and_a_read_only_home_are_told(tmp_path: Path, script: str, reason: str) -> None:
    """On a real file system of that kind, in a namespace of its own."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("no namespaces of one's own here (unshare -rm)")
    argv = ["unshare", "-rm", "bash", "-c", script, "bash", str(tmp_path), sys.executable]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    assert reason in result.stdout, result.stderr
    assert "TRAINWISE_HOME" in result.stdout


def test_doctor_runs_every_machine_check() -> None:
    """Each check is in the list of the command."""
    assert {python, processor, user, home, disk, packages, port, proxy} <= set(CHECKS)

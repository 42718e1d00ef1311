"""The installer: uv by the settings that pip has, pip where uv cannot follow them, cannot be had or fails."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bot.demo import packages
from bot.demo.packages import UV, Environment, pip_settings, uv_variables
from tests.terminal import ROOT

LISTING = """\
:env:.cert='/etc/company.pem'
:env:.find-links='/opt/wheels'
global.cert='/etc/old.pem'
global.extra-index-url='https://a.example/simple https://b.example/simple'
global.index-url='https://mirror.example/simple'
install.constraint='/etc/pip/constraints.txt'
download.no-index='1'
"""


def test_the_environment_goes_before_files_and_other_commands_do_not_count() -> None:
    """As pip reads them: what stands for `pip download` alone is not for installing."""
    settings = pip_settings(LISTING)
    assert settings["cert"] == "/etc/company.pem"
    assert settings["constraint"] == "/etc/pip/constraints.txt"
    assert "no-index" not in settings


def test_uv_gets_every_setting_of_pip() -> None:
    """Indexes, folders of wheels, constraints, certificate; and pip's rule, the best version of all places."""
    variables, foreign = uv_variables(pip_settings(LISTING))
    assert foreign == []
    assert variables == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/opt/wheels",
        "UV_CONSTRAINT": "/etc/pip/constraints.txt",
        "SSL_CERT_FILE": "/etc/company.pem",
    }


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ({"find-links": "/a\n/b"}, {"UV_FIND_LINKS": "/a,/b"}),
        ({"no-index": "true", "trusted-host": "a b"}, {"UV_NO_INDEX": "1", "UV_INSECURE_HOST": "a b"}),
        ({"no-index": "0", "proxy": "http://p:1"}, {"HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://p:1"}),
        ({"timeout": "90", "index-url": "https://m"}, {"UV_HTTP_TIMEOUT": "90", "UV_DEFAULT_INDEX": "https://m"}),
        ({"disable-pip-version-check": "1"}, {"UV_TORCH_BACKEND": "auto"}),
    ],
)  # fmt: skip
def test_single_settings(settings: dict[str, str], variables: dict[str, str]) -> None:
    """Where no place for packages is set, uv looks which build of torch this machine can use."""
    expected = {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables}
    assert uv_variables(settings) == (expected, [])


def test_a_setting_that_uv_does_not_know_is_named() -> None:
    """So that pip installs, instead of something else than was asked for."""
    assert uv_variables({"no-binary": ":all:", "index-url": "https://m"})[1] == ["no-binary"]


def test_one_version_of_uv_is_meant_everywhere() -> None:
    """The installer's, the tests', the wheelhouse's and that of the lock files."""
    files = ("constraints.txt", "pyproject.toml", "Makefile", "deploy/lock.sh")
    assert all(UV in (ROOT / file).read_text("utf-8") for file in files)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one package in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "oneword-1.0.dist-info"
    with zipfile.ZipFile(folder / "oneword-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("oneword.py", "WORD = 'here'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: oneword\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def installed_by(folder: Path, wheels: Path, *words: str, **env: str) -> tuple[str, str]:
    """What the installer printed, and who installed the package, by the package's own record."""
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    base = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    command = [sys.executable, str(packages.__file__), *words, str(folder), "oneword"]
    outcome = subprocess.run(
        command, env={**base, **settings, **env}, capture_output=True, text=True, check=False, timeout=300
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (record,) = folder.glob("lib/python*/site-packages/oneword-1.0.dist-info/INSTALLER")
    return outcome.stdout, record.read_text().strip()


def test_uv_installs_from_pips_folder_of_wheels(wheels: Path, tmp_path: Path) -> None:
    """Into an environment that it creates, without an index; no pip is put into it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    output, installer = installed_by(tmp_path / "env", wheels, "--quiet", PATH=path)
    assert (output, installer) == ("", "uv")
    check = [str(Environment(tmp_path / "env").python), "-c", "import oneword; print(oneword.WORD)"]
    assert subprocess.run(check, capture_output=True, text=True, check=True).stdout == "here\n"


def test_pip_installs_where_uv_cannot_be_had(wheels: Path, tmp_path: Path) -> None:
    """A folder of wheels without uv and no network; one line says why it takes longer."""
    output, installer = installed_by(tmp_path / "env", wheels, "--quiet", "--fetch-uv", PATH="/nonexistent")
    assert installer == "pip"
    assert output.splitlines() == [f"pip installs, which takes longer: {UV} could not be had."]


def test_pip_installs_where_uv_is_damaged(wheels: Path, tmp_path: Path) -> None:
    """A file that is no program: half a download."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "uv").write_bytes(b"\x7fELF half a download")
    (folder / "uv").chmod(0o755)
    output, installer = installed_by(tmp_path / "env", wheels, "--quiet", PATH=str(folder))
    assert installer == "pip"
    assert "pip tries the same now" in output

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

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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
    assert pip_settings(":env:.index-url=''\nglobal.index-url='https://m'") == {"index-url": "https://m"}


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


def test_a_place_that_uv_has_of_its_own_holds_for_torch_too() -> None:
    """A company's mirror is the only place that is reached."""
    assert (
        "UV_TORCH_BACKEND" not in uv_variables({}, {"UV_DEFAULT_INDEX": "https://mirror.example/simple"})[0]
    )


def test_a_setting_that_uv_does_not_know_is_named() -> None:
    """So that pip installs, instead of something else than was asked for."""
    assert uv_variables({"no-binary": ":all:", "index-url": "https://m"})[1] == ["no-binary"]


def test_one_version_of_uv_is_meant_everywhere() -> None:
    """The installer's, the tests', the wheelhouse's and that of the lock files."""
    files = ("constraints.txt", "pyproject.toml", "Makefile", "deploy/lock.sh")
    assert all(UV in (ROOT / file).read_text("utf-8") for file in files)


def write_wheel(folder: Path, number: str) -> str:
    """One version of the package into the folder; the wheel's name."""
    folder.mkdir(parents=True)
    info, name = f"oneword-{number}.dist-info", f"oneword-{number}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("oneword.py", "WORD = 'here'\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: oneword\nVersion: {number}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one package in it."""
    write_wheel(tmp_path / "wheels", "1.0")
    return tmp_path / "wheels"


@pytest.fixture
def index(tmp_path: Path) -> str:
    """An index that has a newer version of it."""
    name = write_wheel(tmp_path / "simple" / "oneword", "2.0")
    (tmp_path / "simple" / "oneword" / "index.html").write_text(f'<a href="{name}">{name}</a>')
    return (tmp_path / "simple").as_uri()


def run_installer(folder: Path, wheels: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The installer's outcome for the package in the folder of wheels, with the settings `env`."""
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    base = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    command = [sys.executable, str(packages.__file__), *words, str(folder), "oneword"]
    return subprocess.run(
        command, env={**base, **settings, **env}, capture_output=True, text=True, check=False, timeout=300
    )


def installed_by(folder: Path, wheels: Path, *words: str, **env: str) -> tuple[str, str]:
    """What the installer printed, and who installed the package, by the package's own record."""
    outcome = run_installer(folder, wheels, *words, **env)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (record,) = folder.glob("lib/python*/site-packages/oneword-1.0.dist-info/INSTALLER")
    return outcome.stdout, record.read_text().strip()


def test_uv_installs_from_pips_folder_of_wheels(wheels: Path, index: str, tmp_path: Path) -> None:
    """Into an environment that it creates, not from an index; no pip is put into it. A quiet pip tells its settings, too."""
    more = {"PIP_QUIET": "1", "PIP_INDEX_URL": index}
    output, installer = installed_by(tmp_path / "env", wheels, "--quiet", PATH=PATH, **more)
    assert (output, installer) == ("", "uv")
    check = [str(Environment(tmp_path / "env").python), "-c", "import oneword; print(oneword.WORD)"]
    assert subprocess.run(check, capture_output=True, text=True, check=True).stdout == "here\n"


def test_settings_that_pip_cannot_read_are_not_passed_over(wheels: Path, tmp_path: Path) -> None:
    """uv would install without them, from another place than was meant; pip says what is wrong with the file."""
    file = tmp_path / "pip.conf"
    file.write_text("index-url = https://mirror.example/simple\n")
    outcome = run_installer(tmp_path / "env", wheels, PATH=PATH, PIP_CONFIG_FILE=str(file))
    assert outcome.returncode != 0
    assert outcome.stdout.startswith("pip installs: its settings cannot be listed.")
    assert "no section headers" in outcome.stderr


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

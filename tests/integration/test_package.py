"""The built package, as `pip install trainwise` gives it: everything that runs is in it, from a folder far from here."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.terminal import ROOT

pytestmark = pytest.mark.integration
BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # setuptools changes sys.argv
print(build_meta.build_sdist(folder))
print(build_meta.build_wheel(folder))
"""
STACK = """
import sys
from pathlib import Path
import httpx
import bot
from bot.demo.stack import local_stack
with local_stack(Path(sys.argv[1]), fresh=True, processes=("bot",)) as stack:
    stack.wait_for_bot()
    page = httpx.get(stack.url, trust_env=False)
    script = httpx.get(stack.url + "/static/app.js", trust_env=False)
    print(page.status_code, script.status_code, bot.__file__)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel of what is tracked or new here."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("packages")
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    outcome = subprocess.run(
        [sys.executable, "-c", BUILD, str(out)], cwd=copy, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def python(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel in it; its requirements are those of this one."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python, wheel = venv / "bin" / "python", next(packages.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*pip, str(wheel)], check=True, env=clean)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    requirements = venv / "lib" / version / "site-packages" / "requirements.pth"
    requirements.write_text(sysconfig.get_path("purelib"))
    return python


def test_both_archives_hold_the_page_the_guide_the_samples_and_the_manifest(packages: Path) -> None:
    """And neither holds tests or anything of a person's machine."""
    wheel = zipfile.ZipFile(next(packages.glob("*.whl"))).namelist()
    with tarfile.open(next(packages.glob("*.tar.gz"))) as archive:
        source = archive.getnames()
    for ending in (
        "bot/playground/static/app.js",
        "rag/data/phrases/de.yaml",
        "finetune/samples/tickets.csv",
        "manifest.yml",
        "rag/table.yaml",
    ):
        assert any(name.endswith(ending) for name in wheel), ending
        assert any(name.endswith(ending) for name in source), ending
    assert any("/guide/" in name and name.endswith(".md") for name in wheel)
    assert not [name for name in wheel if name.startswith(("tests/", "benchmarks/", "."))]


def test_the_installed_command_answers_and_its_workspace_and_bot_start(python: Path, tmp_path: Path) -> None:
    """From an empty folder, with nothing of the checkout on the path."""
    env = {"PATH": "/usr/bin:/bin", "TRAINWISE_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}

    def run(*command: str) -> str:
        outcome = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1500, check=False
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout

    command = str(python.with_name("trainwise"))
    assert "RAG" in run(command, "ask", "our help center changes every week, should we fine-tune on it?")
    words = run(str(python), "-c", STACK, str(tmp_path / "home")).split()
    assert words[:2] == ["200", "200"]
    assert words[2].startswith(str(python.parents[1]))

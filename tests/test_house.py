"""The house holds: imports go one way, and the bot's process stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "rag": {"rag"},
    "finetune": {"finetune"},
    "worker": {"worker", "finetune"},
    "bot": {"bot", "rag", "finetune", "worker"},
}
HOUSE = set(MAY_IMPORT)


def house_imports(path: Path) -> set[str]:
    """The packages of ours that a file imports, at the top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found & HOUSE


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_follow_the_house(package: str) -> None:
    """rag and finetune know none of ours, worker knows finetune, bot knows all."""
    wrong = {
        str(path.relative_to(ROOT)): sorted(house_imports(path) - MAY_IMPORT[package])
        for path in (ROOT / package).rglob("*.py")
        if house_imports(path) - MAY_IMPORT[package]
    }
    assert not wrong


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("bot.slack.app", {"torch", "transformers", "peft", "sklearn", "matplotlib", "chromadb"}),
        ("bot.cli.main", {"torch", "transformers", "peft", "langchain", "chromadb", "sklearn", "matplotlib"}),
        ("worker.ledger.ledger", {"torch", "transformers", "sklearn"}),
        ("worker.transport.queue", {"torch", "transformers", "sklearn"}),
        ("finetune.spec", {"torch", "transformers", "sklearn"}),
        ("finetune.data.store", {"torch", "transformers"}),
    ],
)
def test_light_modules_load_nothing_heavy(module: str, heavy: set[str]) -> None:
    """Importing the bot's modules pulls in none of the training libraries."""
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


# Not configuration: what a child process inherits, and CUDA's and torchrun's own way of naming devices and ranks.
READS_ENVIRONMENT = {
    "rag/search/embedding.py",
    "worker/runtime/job_process.py",
    "worker/runtime/rank.py",
    "worker/runtime/multi_gpu.py",
    "worker/runtime/server.py",
}


def test_only_the_settings_file_reads_the_environment() -> None:
    """Configuration enters through bot/settings.py; the libraries get flat arguments."""
    readers = {
        str(path.relative_to(ROOT))
        for package in ("rag", "finetune", "worker")
        for path in (ROOT / package).rglob("*.py")
        if "os.environ" in path.read_text() or "os.getenv" in path.read_text()
    }
    assert readers <= READS_ENVIRONMENT


def test_the_documents_name_files_that_exist() -> None:
    """Whoever follows a path in README or docs/ finds the file; decisions keep the names of their day."""
    missing = [
        f"{page.name}: {path}"
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        for path in re.findall(
            r"`((?:bot|rag|finetune|worker|tests|benchmarks)/[\w/]+\.\w+)", page.read_text("utf-8")
        )
        if page.name != "decisions.md" and not (ROOT / path).exists()
    ]
    assert missing == []

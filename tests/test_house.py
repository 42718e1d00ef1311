"""The house holds: imports go one way, and the bot's process stays light."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.naming import participles_per_thousand, tree_of

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "rag", "finetune", "worker")
ORDER = {
    "rag": (
        ("rag.evaluation",),
        ("rag.adviser",),
        ("rag.answer",),
        ("rag.index",),
        ("rag.advice",),
        ("rag.ingest",),
        ("rag.signals",),
        ("rag.search",),
        ("rag.llm", "rag.grounding", "rag.reply", "rag.redact"),
        ("rag.errors", "rag.one_at_a_time"),
    ),
    "finetune": (
        ("finetune.platforms",),
        ("finetune.pipeline", "finetune.serving"),
        ("finetune.measurement",),
        ("finetune.spec", "finetune.estimate"),
        ("finetune.tasks",),
        ("finetune.evaluation",),
        ("finetune.provenance",),
        ("finetune.methods",),
        ("finetune.training",),
        ("finetune.hosted",),
        ("finetune.wires", "finetune.llm_access"),
        ("finetune.llm",),
        ("finetune.pulls",),
        ("finetune.sources",),
        ("finetune.data",),
        ("finetune.artifacts", "finetune.device", "finetune.progress", "finetune.pricing"),
        ("finetune.reports",),
        ("finetune.model_size",),
        ("finetune.catalog", "finetune.registry"),
        ("finetune.errors",),
    ),
    "worker": (
        ("worker.dispatch",),
        ("worker.runtime",),
        ("worker.ledger",),
        ("worker.transport",),
        ("worker.kinds",),
        ("worker.jobs",),
        ("worker.logs", "worker.teams"),
        ("worker.errors",),
    ),
    "bot": (
        ("bot.cli",),
        ("bot.demo",),
        ("bot.wiring",),
        ("bot.teams.install", "bot.teams.uninstall"),
        ("bot.teams.runtimes",),
        ("bot.teams.runtime", "bot.teams.tokens"),
        ("bot.factories",),
        ("bot.slack.ticket_server",),
        ("bot.slack.app", "bot.slack.http", "bot.slack.gate"),
        ("bot.slack.features",),
        ("bot.slack.delivery",),
        (
            "bot.slack.launch",
            "bot.slack.on_duty",
            "bot.slack.duty_outcome",
            "bot.slack.retraining",
            "bot.slack.ticket_files",
            "bot.slack.served_rollback",
            "bot.slack.home_tab",
        ),
        ("bot.slack.services",),
        ("bot.slack",),
        ("bot.slack.ui",),
        ("bot.playground",),
        ("bot.pulling",),
        ("bot.teams.directory",),
        ("bot.teams",),
        ("bot.settings", "bot.setting_texts", "bot.endpoint", "bot.manifest", "bot.errors", "bot.extras"),
    ),
}
"""From the top down: a file imports from its own place and from those below it, never from above."""
MAY_IMPORT = {
    "rag": {"rag"},
    "finetune": {"finetune"},
    "worker": {"worker", "finetune"},
    "bot": set(PACKAGES),
}


def module_name(path: Path) -> str:
    """`rag/signals/rules.py` is rag.signals.rules, a folder's `__init__.py` the folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def imports_of(path: Path) -> set[str]:
    """Our modules that a file imports when it runs, at the top or inside a function; not those for type checks."""
    tree = tree_of(path)
    checks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    type_checks = {id(inside) for node in checks for inside in ast.walk(node)}
    modules: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in type_checks:
            continue
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            below = {f"{node.module}.{name.name}" for name in node.names}
            modules |= (below & set(FILES)) or {node.module}
    return modules & set(FILES)


@functools.cache
def import_graph() -> dict[str, set[str]]:
    """Each of our modules with those of ours that it imports; read once, and only where a test asks for it."""
    return {name: imports_of(path) for name, path in FILES.items()}


def place_of(module: str) -> int | None:
    """The module's row in its package's order, by the longest name that holds it."""
    package = module.partition(".")[0]
    rows = [
        (len(name), row)
        for row, names in enumerate(ORDER[package])
        for name in names
        if module == name or module.startswith(name + ".")
    ]
    return max(rows)[1] if rows else None


def test_imports_follow_the_house() -> None:
    """rag and finetune know none of ours, worker knows finetune, bot knows all."""
    against = [
        f"{module} -> {other}"
        for module, others in import_graph().items()
        for other in others
        if other.partition(".")[0] not in MAY_IMPORT[module.partition(".")[0]]
    ]
    assert against == []


def test_every_file_has_its_place_and_imports_only_downwards() -> None:
    """Each folder and file stands in ORDER (also deeper ones), and no import goes against it."""
    assert [m for m in FILES if place_of(m) is None and m not in PACKAGES] == []
    against = [
        f"{module} -> {other}"
        for module, others in import_graph().items()
        for other in others
        if module.partition(".")[0] == other.partition(".")[0]
        and "." in module
        and "." in other
        and (place_of(other) or 0) < (place_of(module) or 0)
    ]
    assert against == []


def test_no_circle_of_files() -> None:
    """Following imports from a file never leads back to it."""
    result: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module in result:
            return
        for other in import_graph()[module]:
            walk(other, (*trail, module))
        result.add(module)

    for module in import_graph():
        walk(module, ())


@pytest.mark.integration
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("bot.slack.app", {"torch", "transformers", "peft", "sklearn", "matplotlib", "chromadb"}),
        ("bot.cli.app", {"torch", "transformers", "peft", "langchain", "chromadb", "sklearn", "matplotlib"}),
        ("worker.kinds", {"torch", "transformers", "sklearn", "numpy"}),
        ("worker.ledger.ledger", {"torch", "transformers", "sklearn"}),
        ("worker.transport.queue", {"torch", "transformers", "sklearn"}),
        ("finetune.spec", {"torch", "transformers", "sklearn", "peft"}),
        ("finetune.methods", {"torch", "transformers", "sklearn", "peft"}),
        ("finetune.tasks", {"torch", "transformers", "sklearn", "peft"}),
        ("finetune.data.store", {"torch", "transformers"}),
    ],
)
def test_light_modules_load_nothing_heavy(module: str, heavy: set[str]) -> None:
    """Importing the bot's modules pulls in none of the training libraries."""
    code = f"import sys, {module}; print(sorted(set(sys.modules) & {heavy!r}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.strip() == "[]"


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


def test_the_tests_of_the_libraries_mirror_their_packages() -> None:
    """Whoever looks for a file's tests finds them in the folder of its name; beside the folders stand files' own tests."""
    strangers = [
        str(path.relative_to(ROOT))
        for package in ("rag", "finetune")
        for path in (ROOT / "tests" / package).rglob("test_*.py")
        if not (
            (ROOT / path.parent.relative_to(ROOT / "tests")).is_dir()
            if path.parent.name != package
            else (ROOT / package / f"{path.stem.removeprefix('test_')}.py").is_file()
        )
    ]
    assert strangers == []


METHOD_NAMES = sorted(path.stem for path in (ROOT / "finetune" / "methods").glob("[!_]*.py"))
METHOD_WORDS = {"lora", "qlora"}
"""Names of methods that mean nothing else; the others ("full", "linear", "scratch") are words of the language too."""


def method_branches(path: Path) -> list[int]:
    """Lines where a file decides by a method's name: it compares, looks up, passes or stores one as a method's.

    A task names its default method; that is the one place outside of the registry where a name may stand.
    """
    tree = tree_of(path)
    constants = [
        node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in METHOD_NAMES
    ]
    if not constants:
        return []
    defaults = {
        id(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "default_method"
    }
    about_methods = {
        id(constant)
        for node in ast.walk(tree)
        if isinstance(
            node, ast.Compare | ast.Subscript | ast.keyword | ast.Dict | ast.AnnAssign | ast.match_case
        )
        and re.search(r"method", ast.unparse(node), re.I)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant)
    }
    return sorted(
        node.lineno
        for node in constants
        if id(node) not in defaults and (node.value in METHOD_WORDS or id(node) in about_methods)
    )


def test_no_file_outside_the_registry_branches_on_a_method() -> None:
    """Whoever compares a method's name would have to be changed for the next method: methods describe themselves."""
    branches = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES.values()
        if path.parent != ROOT / "finetune" / "methods"
        for line in method_branches(path)
    ]
    assert branches == []


def test_a_branch_on_a_method_is_seen(tmp_path: Path) -> None:
    """A comparison, a lookup, a value passed or stored as a method; a task's default, a head or a file mode is none."""
    file = tmp_path / "branches.py"
    file.write_text(
        'a = spec.method == "linear"\nb = METHODS["full"]\nc = run(method="scratch")\nd = {"method": "linear"}\n'
        'e = kind == "lora"\n'
        'f = Task(default_method="lora")\ng = head == "linear"\nh = mode in ("full", "half")\n'
    )
    assert method_branches(file) == [1, 2, 3, 4, 5]


MAX_PARTICIPLES = {"bot": 1, "rag": 3, "finetune": 4, "worker": 3, "tests": 2, "benchmarks": 4}
"""Names that are past participles, per thousand assigned names; lowered with each cleaning, never raised. Aim: 3."""


@pytest.mark.parametrize("folder", MAX_PARTICIPLES)
def test_names_are_nouns_and_verbs_not_participles(folder: str) -> None:
    """`rows`, `report`, `message`, not `found`, `told`, `kept`: a name says what it holds."""
    rate, worst = participles_per_thousand(ROOT / folder)
    assert rate <= MAX_PARTICIPLES[folder], "\n".join(worst)


MAX_PARAMETERS, MAX_FUNCTION_LINES = 8, 60


def is_command(expression: ast.expr) -> bool:
    """Whether the expression takes an attribute `command`, as Typer's registration of one does."""
    return any(isinstance(node, ast.Attribute) and node.attr == "command" for node in ast.walk(expression))


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Each function of a file; commands of the terminal aside, whose parameters are options."""
    tree = tree_of(path)
    registrations = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_command(node.func)]
    commands = {arg.id for node in registrations for arg in node.args if isinstance(arg, ast.Name)}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name not in commands
        and not any(is_command(decorator) for decorator in node.decorator_list)
    ]


MAX_FILE_LINES = 350


def test_files_are_short() -> None:
    """A file has at most 350 lines: beyond, it has two subjects."""
    lengths = {str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n") for path in FILES.values()}
    assert {n: c for n, c in lengths.items() if c > MAX_FILE_LINES} == {}


def test_functions_take_few_values_and_are_short() -> None:
    """Eight parameters at most, `self` aside: what belongs together travels as one value; at most 60 lines."""
    problems = []
    for path in FILES.values():
        for node in functions_of(path):
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > MAX_PARAMETERS or lines > MAX_FUNCTION_LINES:
                problems.append(f"{path.name}:{node.lineno} {node.name}: {count} parameters, {lines} lines")
    assert problems == []


MAX_ANY = {"bot": 13, "rag": 16, "finetune": 24, "worker": 20}
"""`Any` per thousand lines, imports aside; lowered with each typing, never raised."""


@pytest.mark.parametrize("package", MAX_ANY)
def test_any_stays_at_the_edges(package: str) -> None:
    """Untyped values belong to JSON, to Slack's payloads and to libraries without types."""
    lines = [
        line
        for name, path in FILES.items()
        if name.partition(".")[0] == package
        for line in path.read_text("utf-8").split("\n")
    ]
    count = sum(
        len(re.findall(r"\bAny\b", line)) for line in lines if not re.match(r"\s*(from|import) ", line)
    )
    assert 1000 * count / len(lines) <= MAX_ANY[package]

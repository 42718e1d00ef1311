"""A method or a task is one file: dropped into its folder, every reader of the registry knows it, and it trains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from finetune.methods import METHODS, Method, method_of, network_of
from finetune.tasks import TASKS
from tests.finetune.tiny import tickets

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
BITFIT = '''
"""BitFit: only the biases of the base model are trained (Ben Zaken et al. 2022)."""

from finetune.methods import Method, Network
from finetune.methods.full import build_pretrained, load_weights


def biases_only(model, spec, architecture):
    for name, weight in model.named_parameters():
        weight.requires_grad = name.endswith("bias")
    return model


METHOD = Method(
    name="bitfit",
    label="BitFit (biases only)",
    title="Tuned with BitFit",
    library="transformers",
    flops_per_token=4.0,
    bytes_per_parameter=4.6,
    learning_rate=lambda architecture, base_model: 2e-3,
    network=Network(build_pretrained, biases_only, load_weights),
)
'''
ESCALATION = '''
"""Escalation: whether a ticket is about money and goes to a person at once."""

from dataclasses import replace

from finetune.tasks import Task, triage


def run(spec, tickets, folder, progress, llm=None):
    rows = tuple(
        replace(row, label="person" if row.label == "billing" else "bot") for row in tickets.rows
    )
    return triage.run(spec, replace(tickets, rows=rows), folder, progress, llm)


TASK = Task(
    name="escalation",
    label="Escalation: to a person, or not",
    dataset_kind="triage",
    ticket_field="label",
    requirement="a label (queue)",
    purpose="tells {classes} kinds of tickets apart",
    architecture="encoder",
    run=run,
    load=triage.load,
    predict=triage.predict,
    load_before=triage.load_before,
    default_method="linear",
    default_base="minilm",
    default_shape="tiny-bert",
)
'''
READERS = """
from bot.slack.ui.forms import FormMetadata, finetune_modal
from finetune.data.card import describe
from finetune.estimate import estimate_run
from finetune.methods import METHODS
from finetune.spec import parse_spec
from tests.finetune.tiny import tickets
import json
from dataclasses import replace

rows = replace(tickets(60), kind="triage")
card = describe(rows, name="d", scopes=("workspace",), licence="internal", added_by="me", added_at="2026-11-29")
form = json.dumps(finetune_modal([card], FormMetadata("C1"), {"dataset": "d"}, ""))
assert "BitFit (biases only)" in form, form
spec = parse_spec({"dataset": "d", "method": "bitfit"})
assert spec.learning_rate == 2e-3 and spec.base_model == "minilm"
assert estimate_run(spec, card, {}).memory_gib > 0
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages, for a test to drop a file into."""
    for package in ("finetune", "worker", "bot", "rag"):
        pattern = shutil.ignore_patterns("__pycache__", "images")
        shutil.copytree(ROOT / package, tmp_path / "house" / package, ignore=pattern)
    return tmp_path / "house"


def run_python(house: Path, *arguments: str) -> str:
    """What a fresh interpreter prints that imports the copy."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{house}{os.pathsep}{ROOT}",
        "TRAINWISE_HOME": str(house / "home"),
    }
    process = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=house, env=environment, timeout=600
    )
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-2000:]
    return process.stdout


SESSION = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from bot.cli.app import app, register

register()
home, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
for words in commands:
    folder = next(iter((home / "runs").glob("*")), "")
    result = CliRunner().invoke(app, [str(folder) if word == "RUN" else word for word in words])
    assert result.exit_code == 0, result.output
    print(result.stdout.splitlines()[-1])
"""


def commands(house: Path, *lines: Sequence[str], code: str = "") -> list[str]:
    """What each command of `trainwise` prints last, one after the other in one fresh interpreter; `code` runs at its end.

    "RUN" stands for the folder of the run before.
    """
    output = run_python(house, "-c", SESSION + code, str(house / "home"), json.dumps(lines))
    return output.splitlines()


def finetune(house: Path, *options: str) -> Sequence[str]:
    """`trainwise finetune ... --here` on a few tickets."""
    file = house / "few.csv"
    lines = [f'"{row.text}",{row.label}' for row in tickets(48).rows]
    file.write_text("\n".join(["text,label", *lines]))
    return ("finetune", str(file), "--here", "--json", "--epochs", "1", *options)


def test_a_method_is_one_file(house: Path) -> None:
    """Form, recipe, estimate, training, model card, export and `try` read it from the registry."""
    (house / "finetune" / "methods" / "bitfit.py").write_text(BITFIT)
    output = commands(
        house,
        finetune(house, "--method", "bitfit", "--set", "blend=no"),
        ("try", "RUN", "charged twice", "--json"),
        ("export", "RUN", str(house / "out")),
        code=READERS,
    )
    report = json.loads(output[0])
    assert report["spec"]["method"] == "bitfit"
    assert report["systems"][-1]["name"] == "Tuned with BitFit"
    assert report["loss"], "it has trained"
    (folder,) = (house / "home" / "runs").iterdir()
    assert "library_name: transformers" in (folder / "MODEL_CARD.md").read_text()
    assert json.loads(output[1])["after"]["name"] == "tuned, bitfit"
    assert (house / "out" / "model.safetensors").is_file()


def test_a_task_is_one_file(house: Path) -> None:
    """It is run, measured and put on the model card like those that ship."""
    (house / "finetune" / "tasks" / "escalation.py").write_text(ESCALATION)
    report = json.loads(commands(house, finetune(house, "--task", "escalation"))[0])
    assert (report["task"], report["spec"]["method"], report["dataset"]["classes"]) == (
        "escalation",
        "linear",
        2,
    )
    (folder,) = (house / "home" / "runs").iterdir()
    assert "tells 2 kinds of tickets apart" in (folder / "MODEL_CARD.md").read_text()


def test_each_method_has_one_way_to_train() -> None:
    """A network or a solver, never both; names are those of the files, labels fit Slack's lists."""
    for name, method in METHODS.items():
        assert (method.network is None) != (method.solver is None)
        assert (ROOT / "finetune" / "methods" / f"{name}.py").is_file()
    assert [task.default_method for task in TASKS.values()] == ["lora", "scratch"]
    with pytest.raises(ValueError, match="trains no network"):
        network_of("linear")


def test_a_model_of_a_method_that_is_gone_says_so() -> None:
    """A saved model outlives the file of its method; the error names the methods there are."""
    with pytest.raises(Exception, match=r"`bitfit`, which is not installed here: it knows lora, linear"):
        method_of({"method": "bitfit"})


def test_an_entry_of_the_wrong_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose METHOD is something else fails when it is read, by name."""
    from finetune import methods
    from finetune.registry import entries_of

    (tmp_path / "broken_method.py").write_text("METHOD = 'lora'")
    monkeypatch.setattr(methods, "__path__", [str(tmp_path)])
    with pytest.raises(TypeError, match=r"broken_method\.METHOD must be a Method"):
        entries_of("finetune.methods", "METHOD", Method)

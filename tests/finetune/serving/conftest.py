"""One tiny tuned model, averaged with its linear half, as a version that can be served."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from finetune.data.ticket import Tickets
from finetune.serving.deploy import make_version
from finetune.serving.versions import Versions
from finetune.spec import parse_spec


@dataclass(frozen=True)
class TunedJob:
    """A finished job's folder, the rows it saw, and a place with its version `v1`."""

    folder: Path
    rows: Tickets
    place: Path

    def copy_place(self, to: Path) -> Versions:
        """A place of its own for a test, with `v1` answering under a promise of 10%."""
        shutil.copytree(self.place, to)
        versions = Versions(to, "d")
        versions.use("v1", "test", 0.1)
        return versions


@pytest.fixture(scope="session")
def tuned_job(tmp_path_factory: pytest.TempPathFactory) -> TunedJob:
    """Trained in seconds on three queues; 48 tickets held out."""
    return tune(tmp_path_factory.mktemp("served"))


def tune(root: Path) -> TunedJob:
    """The job of `tuned_job`, in a folder."""
    from finetune.pipeline import run
    from tests.finetune.tiny import save_encoder, tickets

    rows = tickets(240)
    form = {"dataset": "d", "base_model": str(save_encoder(root / "bert")), "epochs": 2}
    form |= {"learning_rate": 5e-3, "max_length": 64}
    report = run(parse_spec(form), rows, root / "job", lambda _: None, lambda: None)
    assert report["systems"][-1]["name"] == "Tuned with LoRA, averaged with linear"
    make_version(root / "job", "v1", root / "serving", lambda digest: rows)
    return TunedJob(root / "job", rows, root / "serving")

"""A group of machines as its driver sees it: real ranks under torchrun in Ray's place, pulses, a claim, and what each loss means."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import FinetuneError, Stopped
from finetune.platforms.machine_shape import Shape
from tests.platforms.ray_machines import torchrun
from tests.terminal import ROOT
from tests.worker import counting_kind
from worker.errors import WorkerError
from worker.kinds.job_kind import JobKind
from worker.runtime import machine_group
from worker.runtime.attempt import RunCrash, Work
from worker.runtime.machine_group import DRIVER, HeartbeatFile, MachineGroup, shape_of
from worker.transport.signing import Envelope

pytestmark = pytest.mark.integration
COUNTING = JobKind("counting", "Counting", counting_kind.count)


def group(folder: Path, has_claim: Callable[[], bool] = lambda: True, form: Any = torchrun) -> MachineGroup:
    """Two machines with a core each, in a folder that both see."""
    machines = MachineGroup(Shape(2, 1, False), folder / "work", has_claim, form)
    machines.take_over([])
    return machines


def work(
    machines: MachineGroup, folder: Path, stop: Callable[[], str | None], **spec: Any
) -> tuple[Work, list[Any]]:
    """A run of the counting kind and the events it will tell."""
    events: list[Any] = []
    (folder / "pids").mkdir()
    envelope = Envelope(
        "j", 1, "f", "j", "finetune", {"pids": str(folder / "pids"), **spec}, "d", 0.0, 60, 0.0, None
    )
    return Work(envelope, machines.attempt, "none", events.append, stop, 0.0, {}), events


def test_a_group_trains_and_its_first_rank_s_events_come_once_and_in_order(tmp_path: Path) -> None:
    """The report is the first rank's; checkpoints lie where the next submission looks for them."""
    machines = group(tmp_path)
    run, events = work(machines, tmp_path, lambda: None, steps=5)
    assert machines.over(COUNTING).run(run)["headline"] == "counted"
    assert [event["step"] for event in events if event["kind"] == "step"] == [1, 2, 3, 4, 5]
    assert len(list((tmp_path / "pids").iterdir())) == 2
    assert machines.is_alive()


def test_a_rank_that_dies_is_a_machine_lost_and_the_next_submission_takes_over(tmp_path: Path) -> None:
    """The attempt may be tried again; its folder moves to the next one's, whole."""
    machines = group(tmp_path)
    (machines.attempt / "checkpoints" / "saved").write_text("20")
    run, _ = work(machines, tmp_path, lambda: None, steps=5000, dies_at=3)
    with pytest.raises(RunCrash, match="A machine of this run was lost"):
        machines.over(COUNTING).run(run)
    later = MachineGroup(Shape(2, 1, False), tmp_path / "later", lambda: True)
    later.take_over([tmp_path / "none", tmp_path / "work"])
    assert (later.attempt / "checkpoints" / "saved").read_text() == "20"
    assert not machines.attempt.exists()


def test_a_stop_reaches_the_first_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which ends cleanly, and says why; the other rank, which counts alone, is not waited for long."""
    monkeypatch.setattr(machine_group, "LEAVE_S", 1.0)
    machines = group(tmp_path)
    run, events = work(machines, tmp_path, lambda: "cancel" if events else None, steps=5000)
    with pytest.raises(Stopped) as stop:
        machines.over(COUNTING).run(run)
    assert stop.value.reason == "cancel"


def test_a_driver_whose_claim_was_taken_away_ends_the_run(tmp_path: Path) -> None:
    """Another submission may train already: this one's result would not count."""
    machines = group(tmp_path, has_claim=lambda: False, form=lambda shape, place: time.sleep(60))
    run, _ = work(machines, tmp_path, lambda: None)
    with pytest.raises(Stopped) as stop:
        machines.over(COUNTING).run(run)
    assert stop.value.reason == "lost"


def test_ranks_that_ray_lost_continue_while_the_first_rank_sends_heartbeats(tmp_path: Path) -> None:
    """With its control process gone Ray gave a group up that trained to its end (a drill on a real head)."""

    def lose_sight(shape: Shape, place: Path) -> None:
        ranks = threading.Thread(target=torchrun, args=(shape, place), daemon=True)
        ranks.start()
        while not (place / machine_group.FIRST_RANK).exists():
            time.sleep(0.05)
        raise ConnectionError("the head is gone")

    machines = group(tmp_path, form=lose_sight)
    run, _ = work(machines, tmp_path, lambda: None, steps=200)
    assert machines.over(COUNTING).run(run)["headline"] == "counted"


def test_a_first_rank_without_a_heartbeat_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray may take it for running as long as it likes."""
    monkeypatch.setattr(machine_group, "LEASE_S", 1.0)

    def one_beat(shape: Shape, place: Path) -> None:
        HeartbeatFile(place / machine_group.FIRST_RANK).show()
        time.sleep(60)

    machines = group(tmp_path, form=one_beat)
    run, _ = work(machines, tmp_path, lambda: None)
    with pytest.raises(RunCrash):
        machines.over(COUNTING).run(run)


def test_a_cluster_without_ray_in_our_environment_is_told_what_to_install(tmp_path: Path) -> None:
    """Another try would end the same way: it is none of the losses."""

    def no_ray(shape: Shape, place: Path) -> None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")

    machines = group(tmp_path, form=no_ray)
    run, _ = work(machines, tmp_path, lambda: None)
    with pytest.raises(FinetuneError, match=r"trainwise\[ray\]"):
        machines.over(COUNTING).run(run)


def test_a_rank_leaves_its_driver_s_last_pulse_behind_by_a_lease_and_no_more(tmp_path: Path) -> None:
    """Whatever it is doing: the process ends at once."""
    (tmp_path / DRIVER).write_text("1")
    code = "import sys, time; from pathlib import Path; from worker.runtime import machine_group as g; import threading; "
    code += "g.LEASE_S, g.PULSE_S = 1.0, 0.1; g._keep_heartbeat(Path(sys.argv[1]), 1, threading.Event())"
    began = time.monotonic()
    rank = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, timeout=120, check=False)
    assert rank.returncode == 1
    assert time.monotonic() - began < 100


def test_silence_is_measured_by_the_reader_s_clock(tmp_path: Path) -> None:
    """Two machines' clocks may differ by hours: only a change counts."""
    now = [100.0]
    writer, reader = HeartbeatFile(tmp_path / "p"), HeartbeatFile(tmp_path / "p", lambda: now[0])
    assert not reader.has_begun()
    writer.show()
    now[0] = 150.0
    assert reader.silent_s() == 0.0
    now[0] = 195.0
    assert (reader.silent_s(), reader.has_begun()) == (45.0, True)


def test_a_shape_says_how_many_ranks_train() -> None:
    """One a GPU, or one a machine on its cores."""
    assert (shape_of("2x4gpu").ranks, shape_of("4x8cpu").ranks) == (8, 4)
    with pytest.raises(WorkerError, match="2x4gpu"):
        shape_of("many")

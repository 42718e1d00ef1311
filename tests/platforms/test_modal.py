"""What Modal's adapter holds beside the contract: a create that waits for a machine, both of Modal's kinds of sandbox, the bill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from finetune.platforms.contract import Adapter, NoAnswer, NotMade, Reference, Stage, Submission
from finetune.platforms.runs import LIFE
from tests.platforms.harness import PlatformHarness, RunKey, open_harness
from tests.platforms.modal_server import GPU, WIRE, ModalServer
from tests.platforms.standin import CANCELLED, SUCCEEDED
from tests.platforms.wires import waits_of_clients

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-x-1"
SECRET = "s" * 40


@pytest.fixture(scope="module")
def server() -> Iterator[ModalServer]:
    clock = [1_800_000_000.0]
    server = ModalServer(lambda: clock[0])
    yield server
    server.close()


@pytest.fixture
def harness(server: ModalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformHarness]:
    for target, value in waits_of_clients("modal").items():
        monkeypatch.setattr(target, value)
    here = open_harness(WIRE, server, [0.0])
    yield here
    assert server.violations == []
    here.close()


@pytest.fixture
def adapter(harness: PlatformHarness, server: ModalServer) -> Adapter:
    """Patient, as this computer may be busy."""
    return connect(server, harness, 10.0)


def connect(server: ModalServer, harness: PlatformHarness, timeout_s: float, **more: str) -> Adapter:
    values = {**WIRE.values(server, f"{harness.home}/runs"), "timeout_s": str(timeout_s), **more}
    return WIRE.platform.connect(values)


def submission(machine: str = GPU) -> Submission:
    return Submission(TAG, machine, 600.0, {}, "key", run_key=SECRET)


def test_a_create_without_a_machine_does_not_block_the_controller(
    adapter: Adapter, server: ModalServer, harness: PlatformHarness
) -> None:
    """Modal's client waits up to 21 minutes for one; until then the sandbox is there under its tag."""
    server.has_capacity = False
    with pytest.raises(NoAnswer):
        connect(server, harness, 1.0).create(submission())
    (status,) = adapter.find(TAG)
    assert status.stage is Stage.RUNNING
    server.start(server.jobs[status.remote_id])  # and the client that waits is let go


@pytest.mark.parametrize("machine", [GPU, "cpu"])
def test_both_kinds_of_sandbox_are_made_seen_and_ended(
    adapter: Adapter, server: ModalServer, machine: str
) -> None:
    """Modal runs those with a GPU on its older service and the others on its newer one."""
    number = adapter.create(submission(machine))
    assert adapter.create(submission(machine)) == number  # the name is in use: an earlier create was made
    assert len(server.jobs) == 1
    assert SECRET in str(server.jobs[number].body["env"])
    assert [one.remote_id for one in adapter.find("tw-abcdef-")] == [number]
    server.on_cancel = lambda job: server.end(job, CANCELLED)
    adapter.cancel(Reference(TAG, number))
    assert adapter.look(Reference(TAG, number)).stage is Stage.CANCELLED
    assert adapter.find(TAG) == []


def test_a_create_that_the_client_repeats_makes_one_sandbox(adapter: Adapter, server: ModalServer) -> None:
    """Its answer is cut each time; the tag leads to what was made."""
    server.create_faults.append("cut")
    with pytest.raises(NoAnswer):
        adapter.create(submission())
    assert len(server.jobs) == len(adapter.find(TAG)) == 1


def test_an_end_that_the_client_does_not_know_is_no_end(adapter: Adapter, server: ModalServer) -> None:
    """It shows such a status as exit code 0; while Modal lists the sandbox, it runs."""
    number = adapter.create(submission())
    server.jobs[number].odd_word = "SOMETHING_NEW"
    status = adapter.look(Reference(TAG, number))
    assert (status.stage, "lists it as running" in status.note) == (Stage.RUNNING, True)


def test_seconds_are_those_of_the_container_s_own_clock(adapter: Adapter, harness: PlatformHarness) -> None:
    """Modal shows no times: the container's signs of life say since when it runs, with its proof."""
    number, key = adapter.create(submission()), RunKey(TAG, SECRET)
    harness.runs.sign(key, LIFE, {"at": 5_400.0, "since": 1_800.0})
    assert adapter.look(Reference(TAG, number, 0, SECRET)).ran_s == 3_600.0
    harness.runs.sign(RunKey(TAG, "t" * 40), LIFE, {"at": 99_000.0, "since": 0.0})
    assert adapter.look(Reference(TAG, number, 0, SECRET)).ran_s is None


def test_the_bill_is_the_workspace_s_report_once_it_names_the_sandbox(
    adapter: Adapter, server: ModalServer
) -> None:
    """It comes an hour late: until then there is none, and the time at the team's price counts."""
    number = adapter.create(submission())
    server.end(server.jobs[number], SUCCEEDED)
    assert adapter.bill(Reference(TAG, number)) is None
    server.billed_id, server.billed_usd = number, "1.25"
    bill: Any = adapter.bill(Reference(TAG, number))
    assert (bill.usd, bill.is_final) == (1.25, True)


def test_a_secret_that_modal_does_not_have_is_named(server: ModalServer, harness: PlatformHarness) -> None:
    """Nothing was made, and the person knows which name to correct."""
    with pytest.raises(NotMade, match="no such secret"):
        connect(server, harness, 10.0, TRAINWISE_MODAL_BUCKET_SECRET="nobody").create(submission())
    assert server.jobs == {}


def test_a_look_at_an_account_where_nothing_ran_makes_nothing(
    server: ModalServer, harness: PlatformHarness
) -> None:
    """`trainwise doctor` only reads: the app is made by the first create."""
    server.has_app = False
    assert connect(server, harness, 10.0).find("tw-doctor-nobody-0") == []
    assert server.has_app is False

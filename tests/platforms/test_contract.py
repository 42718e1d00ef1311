"""Every platform keeps the contract under faults: its real client, its stand-in, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.platforms.harness import Wire, open_harness
from tests.platforms.standin import CANCELLED, FAILED, TIMED_OUT, StandIn
from tests.platforms.trial import crash_in_create
from tests.platforms.wires import WIRES, waits_of_clients
from worker.errors import WorkerError

pytestmark = pytest.mark.integration
RUNS, STEPS = 40, 20
CREATE_FAULTS = st.sampled_from(["503", "429", "cut", "cut", "silent", ""])
LAGS = st.sampled_from([0.0, 40.0])


class ContractMachine(RuleBasedStateMachine):
    """Each rule is a fault or an action of a platform, a controller or a person; `finish_all` then ends every job."""

    wire: Wire
    standin: StandIn
    clock: list[float]

    @initialize(faults=st.lists(CREATE_FAULTS, max_size=3), lag_s=LAGS)
    def open(self, faults: list[str], lag_s: float) -> None:
        """A fresh installation with one job, before a platform in trouble."""
        self.harness = open_harness(self.wire, self.standin, self.clock)
        self.standin.create_faults += faults
        self.standin.lag_s = lag_s
        self.harness.submit()

    @rule(seconds=st.sampled_from([1.0, 5.0, 20.0, 95.0]), controller=st.integers(0, 1))
    def time_passes(self, seconds: float, controller: int) -> None:
        self.harness.step(seconds, controller)

    @rule(fault=CREATE_FAULTS)
    def another_job(self, fault: str) -> None:
        if len(self.harness.jobs) < 3:
            self.standin.create_faults.append(fault)
            self.harness.submit()

    @rule(fault=st.sampled_from(["503", "html", "cut"]))
    def read_fails(self, fault: str) -> None:
        self.standin.read_faults.append(fault)

    @rule(in_create=st.booleans())
    def controller_dies(self, in_create: bool) -> None:
        if in_create:
            crash_in_create(self.harness.adapter)
        self.harness.controllers[0] = self.harness.open_controller()

    @rule()
    def second_controller(self) -> None:
        if len(self.harness.controllers) == 1:
            self.harness.controllers.append(self.harness.open_controller())

    @rule(number=st.integers(0, 2))
    def person_cancels(self, number: int) -> None:
        job = self.harness.jobs[number % len(self.harness.jobs)]
        try:
            self.harness.ledger.request_cancel(job, "U1", "test")
        except WorkerError:
            return  # it has ended, or its report is being written

    @rule(
        how=st.sampled_from(
            ["start", "start", "event", "finish", FAILED, CANCELLED, TIMED_OUT, "gone", "odd", "dies"]
        ),
        number=st.integers(0, 5),
    )
    def platform_acts(self, how: str, number: int) -> None:
        jobs = list(self.standin.jobs.values())
        if jobs:
            self.harness.advance(jobs[number % len(jobs)], how)

    @rule(what=st.sampled_from(["event", "result", "file"]))
    def a_stranger_writes_in_the_bucket(self, what: str) -> None:
        self.harness.forge(what)

    @rule(lag_s=LAGS)
    def listing_lags(self, lag_s: float) -> None:
        self.standin.lag_s = lag_s

    @rule(good=st.booleans())
    def key_is_revoked_or_restored(self, good: bool) -> None:
        self.standin.is_key_good = good

    @rule(skew=st.sampled_from([-86400.0, 0.0, 86400.0]))
    def wall_clock_jumps(self, skew: float) -> None:
        self.harness.wall_skew = skew

    @rule()
    def cancel_takes_at_once(self) -> None:
        self.standin.on_cancel = lambda job: self.standin.end(job, CANCELLED)

    @invariant()
    def the_controller_steps(self) -> None:
        """One controller steps after each fault."""
        if hasattr(self, "harness"):
            self.harness.step(2.0)

    def teardown(self) -> None:
        if not hasattr(self, "harness"):
            return
        try:
            self.harness.finish_all()
            assert self.harness.problems == []
        finally:
            self.standin.on_cancel = lambda job: None
            self.harness.close()


@pytest.fixture(params=list(WIRES))
def wire(request: Any) -> Wire:
    return WIRES[request.param]


@pytest.fixture
def clock() -> list[float]:
    return [1_800_000_000.0]


@pytest.fixture
def standin(wire: Wire, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The platform; clients that wait between tries of a call do not wait here."""
    for target, value in waits_of_clients(wire.platform.name).items():
        monkeypatch.setattr(target, value)
    server = wire.server(lambda: clock[0])
    yield server
    server.close()


def test_no_fault_duplicates_loses_or_leaves_a_job(wire: Wire, standin: StandIn, clock: list[float]) -> None:
    """0 doubled, 0 lost, 0 left billed, 0 left uploaded in 40 runs of 20 rules; 400 by hand (benchmarks/platforms.py)."""
    shape = {"wire": wire, "standin": standin, "clock": clock}
    machine = type("Machine", (ContractMachine,), shape)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=(Phase.generate,),
        ),
    )

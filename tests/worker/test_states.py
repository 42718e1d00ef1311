"""The table of transitions, alone."""

from __future__ import annotations

import itertools

import pytest

from worker.errors import IllegalTransition
from worker.jobs.decisions import decide_on_event, decide_on_silence
from worker.jobs.event_facts import read_facts
from worker.jobs.states import ACTIVE_STATES, END_STATES, TRANSITIONS, State, Trigger, mermaid, next_state
from worker.transport.events import KINDS


def test_end_states_have_no_way_out_and_every_other_state_has_a_way_to_an_end() -> None:
    """No job can be stuck for want of an edge, and none can leave its end."""
    for state in State:
        reach, todo = set(), [state]
        while todo:
            here = todo.pop()
            if here not in reach:
                reach.add(here)
                todo += TRANSITIONS[here].values()
        assert reach & END_STATES
        assert (state in END_STATES) == (not TRANSITIONS[state])


def test_every_state_is_reached_from_draft() -> None:
    """The table has no state that a job can never be in."""
    reach, todo = set(), [State.DRAFT]
    while todo:
        here = todo.pop()
        if here not in reach:
            reach.add(here)
            todo += TRANSITIONS[here].values()
    assert reach == set(State)


def test_an_edge_that_is_not_in_the_table_is_refused_in_words_for_the_person() -> None:
    """Cancelling an ended job says that it has ended."""
    with pytest.raises(IllegalTransition, match="already ended"):
        next_state(State.SUCCEEDED, Trigger.CANCEL)


def test_what_an_event_means_needs_only_edges_that_exist() -> None:
    """For every state that a live run can be in, every kind of event and every reason to stop."""
    reasons = ("cancel", "pause", "lost", "drain", "budget", "other")
    for state, kind, reason, losses in itertools.product(
        [*ACTIVE_STATES, State.QUEUED, State.SUBMIT_UNKNOWN], KINDS, reasons, (0, 9)
    ):
        for retryable in (True, False):
            here = state
            data = {"reason": reason, "retryable": retryable, "report": {}}
            for trigger in decide_on_event(state, kind, read_facts(data), losses, now=0.0).path:
                here = next_state(here, trigger)
    for state, losses in itertools.product([*ACTIVE_STATES, State.SUBMIT_UNKNOWN], (0, 9)):
        here = state
        for trigger in decide_on_silence(state, losses, now=0.0).path:
            here = next_state(here, trigger)


def test_the_diagram_shows_every_edge_with_its_label() -> None:
    """The drawing in the docs is the table."""
    diagram = mermaid()
    for state, edges in TRANSITIONS.items():
        for trigger, target in edges.items():
            assert any(
                line.startswith(f"    {state} --> {target}:") and trigger in line
                for line in diagram.splitlines()
            )


def test_a_new_phase_forgets_the_steps_of_the_last() -> None:
    """The card of a run that goes on does not show the 4 of 4 of the phase before."""
    progress = decide_on_event(State.RUNNING, "phase", read_facts({"phase": "curve"}), 0, 0.0).progress
    last = ("step", "steps", "loss", "eta_s", "curve", "dev_loss", "dev_score")
    assert progress == {"phase": "curve", **dict.fromkeys(last)}
    assert decide_on_event(State.RUNNING, "step", read_facts({"step": 1, "steps": 9}), 0, 0.0).progress == {
        "step": 1,
        "steps": 9,
    }


def test_odd_facts_of_a_worker_count_as_not_told() -> None:
    """Whatever shape a field of an event has, it is read as what it should be or passed over."""
    odd = read_facts({"usd": -3, "pid": "x", "report": [1], "plots": "p", "error": None, "step": {"a": 1}})
    assert (odd.usd, odd.pid, odd.report, odd.plots, odd.error) == (0.0, None, None, {}, "")
    assert read_facts({"usd": 0.5, "pid": 7, "phase": "curve"}).phase == "curve"

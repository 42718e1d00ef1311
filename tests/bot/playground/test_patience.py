"""A limit counts what the machine has for us, and starts anew at each sign of life."""

from __future__ import annotations

from bot.playground.patience import MIN_SHARE, Patience, cpu_share


class Machine:
    """A clock that the test moves, and the share of a core that a process gets on it."""

    def __init__(self, share: float) -> None:
        self.now, self.share = 0.0, share

    def seconds_until_over(self, patience: Patience, sign: object = None) -> float:
        """The clock's seconds until the limit is used up, looking once a second."""
        begin = self.now
        while not patience.is_over(sign):
            self.now += 1.0
        return self.now - begin


def patience_on(machine: Machine, limit_s: float) -> Patience:
    return Patience(limit_s, lambda: machine.now, lambda: machine.share)


def test_an_idle_machine_waits_as_told_and_a_busy_one_longer() -> None:
    """Twenty seconds are twenty at full share and two hundred at a tenth; the message says both."""
    idle, busy = Machine(1.0), Machine(0.1)
    patience = patience_on(idle, 20)
    assert idle.seconds_until_over(patience) == 21
    assert str(patience) == "20 s"
    patience = patience_on(busy, 20)
    assert 200 <= busy.seconds_until_over(patience) <= 203
    assert str(patience).startswith("20 s of this busy machine's time (20")


def test_a_sign_of_life_starts_the_limit_anew() -> None:
    """Whoever still says something is not given up."""
    machine = Machine(1.0)
    patience = patience_on(machine, 5)
    for sign in range(10):
        machine.now += 4
        assert not patience.is_over(sign)
    assert machine.seconds_until_over(patience, 9) == 6


def test_a_machine_that_slept_does_not_use_the_limit_up() -> None:
    """A closed laptop is one look, not hours."""
    machine = Machine(1.0)
    patience = patience_on(machine, 60)
    machine.now += 8 * 3600
    assert not patience.is_over()


def test_the_share_is_a_part_of_a_core() -> None:
    """Whatever runs here now."""
    assert MIN_SHARE <= cpu_share() <= 1

"""The health of a version: failures and latency over the last tickets. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

LOOKED_AT, MIN_TICKETS = 200, 50
MAX_FAILURES = 0.02


@dataclass
class Health:
    """The last LOOKED_AT tickets of one version: seconds of scoring or of writing a token, and which failed."""

    slowest_s: float
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=LOOKED_AT))
    failures: deque[bool] = field(default_factory=lambda: deque(maxlen=LOOKED_AT))

    def record(self, seconds: float, failure: bool) -> None:
        """Note one ticket."""
        self.seconds.append(seconds)
        self.failures.append(failure)

    def complaint(self) -> str:
        """Why the version must be rolled back; "" while it is healthy. Needs MIN_TICKETS tickets."""
        count = len(self.failures)
        if count < MIN_TICKETS:
            return ""
        share = sum(self.failures) / count
        if share > MAX_FAILURES:
            return f"error rate: it failed on {share:.0%} of its last {count} tickets"
        p95 = sorted(self.seconds)[int(0.95 * (count - 1))]
        if p95 > self.slowest_s:
            return f"latency: 95% of its last {count} tickets (or the tokens it wrote) took up to {1000 * p95:.0f} ms"
        return ""

"""OpenAI's stand-in by this computer's clock: a job starts at once and is tuned some seconds after. Never run live."""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.platforms.openai_server import STEP_S, STEPS, OpenAiServer
from tests.platforms.standin import SUCCEEDED, PlatformJob


class OpenAiMachines(OpenAiServer):
    """Its clock runs so fast that all steps pass while one look follows the other; `holds` keeps a job from its end."""

    def __init__(self, speed: float = 15.0) -> None:
        self.speed, self.holds = speed, threading.Event()
        began = time.time()
        super().__init__(lambda: began + speed * (time.time() - began))

    def take(self, body: dict[str, Any]) -> PlatformJob:
        """The job of a create, running."""
        job = super().take(body)
        self.start(job)
        threading.Thread(target=self.tune, args=(job,), daemon=True).start()
        return job

    def tune(self, job: PlatformJob) -> None:
        """Ends the job once its steps are over and nothing holds it."""
        time.sleep(STEPS * STEP_S / self.speed)
        while self.holds.is_set():
            time.sleep(0.1)
        self.end(job, SUCCEEDED)

    def cancel(self, job: PlatformJob) -> None:
        """Ends it at once."""
        self.end(job, "cancelled")

"""The process into which an engine moves, started in the background, since that takes seconds.

The engine's thread has it started when there are many sessions; it ends when the engine does.
"""

from __future__ import annotations

import threading

from models.apart import ApartStepper
from models.network import MSiMamba
from models.pool import Pool
from models.worker import ApartFailed


class Relief:
    """A stepper apart that is being prepared.

    Raises
    ------
    ApartFailed
        If no process can be started.
    """

    def __init__(self, network: MSiMamba) -> None:
        self._stepper = ApartStepper(network)
        self._failure: ApartFailed | None = None
        self._thread = threading.Thread(target=self._prepare, name="relief")
        self._thread.start()

    def _prepare(self) -> None:
        try:
            self._stepper.prepare()
        except ApartFailed as failure:
            self._failure = failure

    @property
    def starting(self) -> bool:
        """Whether it is neither ready nor has failed."""
        return self._thread.is_alive()

    def take_over(self, pool: Pool) -> ApartStepper:
        """The stepper, with the streams of a pool in the same rows; nothing may step meanwhile.

        Raises
        ------
        ApartFailed
            If the process did not start, or has ended; the pool is as it was.
        """
        try:
            if self._failure:
                raise self._failure
            self._stepper.pool.take_over(pool)
        except ApartFailed:
            self.close()
            raise
        return self._stepper

    def close(self) -> None:
        """End the process, whatever it does, and wait until nothing of it is left."""
        self._stepper.close()
        self._thread.join()

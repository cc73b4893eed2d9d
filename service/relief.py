"""The processes into which an engine moves, started in the background, since that takes seconds.

The engine's thread has one started when there are many sessions, and another for each so many more;
they end when the engine does.
"""

from __future__ import annotations

import math
import threading
from typing import TypeAlias

from drivers import processors
from models.apart import ApartStepper
from models.network import MSiMamba
from models.stepper import ProcessorStepper
from models.team import Team
from models.worker import ApartFailed

Own: TypeAlias = ProcessorStepper | ApartStepper | Team
"""What an engine is relieved of, and by."""
FEW = 8
"""Sessions that are stepped in the engine's process."""
OF_ONE = 256
"""Sessions that one process is meant to have, half of what it can step at four hops a second: the
next one takes seconds to start, and has to have begun by the time that it is needed."""


def processes(sessions: int) -> int:
    """How many should step so many sessions; 0 where the engine's own does.

    Where there are more than two processors, one is left to acquisition. Of two both may step:
    beyond ``OF_ONE`` sessions one cannot acquire them all anyhow, but they may come from elsewhere.
    """
    if sessions <= FEW:
        return 0
    count = processors.count()
    return min(math.ceil(sessions / OF_ONE), count if count <= 2 else count - 1)


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

    def join(self, stepper: Own) -> ApartStepper | Team:
        """What goes on for another, whose streams keep their rows; nobody may use that meanwhile.

        One here is followed by the one that was prepared, one apart by both.

        Raises
        ------
        ApartFailed
            If the process did not start, or has ended; the other stepper is as it was.
        """
        try:
            if self._failure:
                raise self._failure
            if isinstance(stepper, ProcessorStepper):
                self._stepper.pool.take_over(stepper.pool)
                return self._stepper
        except ApartFailed:
            self.close()
            raise
        team = stepper if isinstance(stepper, Team) else Team(stepper)
        team.add(self._stepper)
        return team

    def close(self) -> None:
        """End the process, whatever it does, and wait until nothing of it is left."""
        self._stepper.close()
        self._thread.join()

"""When a worker sends what is new in a session, on a clock that only the test moves on."""

from __future__ import annotations

import asyncio

from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.computed_session import ComputedSession
from mimamba.service.cluster.worker import WorkerSessions
from tests.service.cluster.test_mirroring import mirrored


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still."""

    clock = 100.0

    def time(self) -> float:
        """Return the time, s."""
        return self.clock


class CountedWakes(ComputedSession):
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self.wakes = 0

    def wake(self, news: bool) -> None:
        """Count."""
        del news
        self.wakes += 1


def test_what_has_waited_for_its_round_is_sent_at_once_and_the_rest_together() -> None:
    loop = SteppedLoop()

    async def scene() -> None:
        computed, session = CountedWakes(), mirrored(InProcessBus(Exchange()))
        sessions = WorkerSessions(lambda _: computed)
        sessions.add(session)

        async def wakes(later: float, grown: bool = False, news: bool = False) -> int:
            loop.clock += later
            sessions.notify_round([session] if grown else [], [session] if news else [])
            for _ in range(6):
                await asyncio.sleep(0)
            return computed.wakes

        assert await wakes(0, grown=True) == 1
        assert await wakes(0.05, grown=True) == 1
        assert await wakes(0.5) == 1
        assert await wakes(0.1) == 2
        assert await wakes(0.62, grown=True) == 3  # all waited in the compute loop
        assert await wakes(0.62, grown=True) == 4
        session.watchers.add("a page")
        assert await wakes(0.05, grown=True) == 4
        assert await wakes(0.21) == 5
        session.watchers.clear()
        assert await wakes(0.5, grown=True, news=True) == 6  # a prediction takes all with it
        assert await wakes(0.5, grown=True, news=True) == 7
        assert await wakes(0.55) == 7
        sessions.remove(session)
        assert await wakes(1, grown=True) == 7

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scene())

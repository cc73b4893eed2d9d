"""Keys that a gateway renews while the bus does not answer."""

from __future__ import annotations

import asyncio

import pytest

from mimamba.service.bus.bus import Guard, Overtaken, publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.failover.watched_keys import HeldKey
from tests.service.bus.lost_answers import lost_answer

KEY = "keys.study.a"


class SilentBus(InProcessBus):
    """A bus that stores messages, but does not say so while it is silent."""

    silent = False

    async def send(
        self,
        subject: str,
        payload: bytes,
        *,
        name: str | None = None,
        guard: Guard | None = None,
        only: bool = False,
    ) -> asyncio.Future[int]:
        stored = await super().send(subject, payload, name=name, guard=guard, only=only)
        if not self.silent:
            return stored
        stored.exception()  # nobody is told of it
        return lost_answer()


def test_a_key_is_not_overtaken_by_what_its_own_gateway_stored_unknown_to_it() -> None:
    async def scene() -> None:
        bus = SilentBus(Exchange())
        key = HeldKey(bus, asyncio.get_running_loop(), KEY, 0)
        await asyncio.to_thread(key.store, b"begin")
        bus.silent = True
        for each in (b"on", b"off"):  # of these, the bus stores the first one
            assert await asyncio.to_thread(key.store_if_possible, each)
        bus.silent = False
        assert await asyncio.to_thread(key.store_if_possible, b"silent")
        assert [each.payload for each in await bus.newest(KEY)] == [b"silent"]
        await publish(bus, KEY, b"on", only=True)  # another gateway's
        assert not await asyncio.to_thread(key.store_if_possible, b"")
        with pytest.raises(Overtaken):
            await asyncio.to_thread(key.store, b"end")

    asyncio.run(scene())

"""The rules of the bus, in both of its implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimamba.service.bus.bus import (
    Bus,
    BusMessage,
    Guard,
    NotStored,
    Overtaken,
    matches,
    publish,
    start_on,
)
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.bus.nats_bus import NATSBus
from tests.service.bus.nats_server import NATSServer

PATIENCE = 60.0
Scene: TypeAlias = Callable[[Callable[[], Awaitable[Bus]], str], Awaitable[None]]
"""A test: gets a function that connects, and a word of its own for its subjects."""
NUMBERS = count()


@pytest.fixture(params=["in process", "nats"])
def play(request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    """Play a scene on one of the buses, and close all connections."""
    nats: NATSServer | None = None
    if request.param == "nats":
        nats = request.getfixturevalue("nats_server")

    def start(scene: Scene) -> None:
        async def run() -> None:
            buses: list[Bus] = []
            exchange = Exchange()

            async def connect() -> Bus:
                bus = await NATSBus.connect(nats.url) if nats else InProcessBus(exchange)
                buses.append(bus)
                return bus

            try:
                async with asyncio.timeout(PATIENCE):
                    await scene(connect, f"w{next(NUMBERS)}")
            finally:
                for bus in buses:
                    await bus.close()

        asyncio.run(run())

    return start


async def take(messages: AsyncIterator[BusMessage], number: int) -> list[bytes]:
    return [(await anext(messages)).payload for _ in range(number)]


def test_a_follower_goes_on_where_it_was(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus = await connect()
        for n in range(5):
            await publish(bus, f"in.{word}.a", b"%d" % n)
            await publish(bus, f"in.{word}.b", b"other")
        async with bus.follow(f"in.{word}.a", 0) as messages:
            first = [await anext(messages) for _ in range(3)]
        assert [each.payload for each in first] == [b"0", b"1", b"2"]
        assert {each.subject for each in first} == {f"in.{word}.a"}
        other = await connect()
        async with other.follow(f"in.{word}.a", first[-1].sequence) as messages:
            await publish(bus, f"in.{word}.a", b"5")
            assert await take(messages, 3) == [b"3", b"4", b"5"]

    play(scene)


def test_a_follower_from_now_on(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus = await connect()
        await publish(bus, f"in.{word}.a", b"before")
        async with bus.follow(f"in.{word}.*", "now") as messages:
            await publish(bus, f"in.{word}.b", b"after")
            assert await take(messages, 1) == [b"after"]

    play(scene)


def test_messages_taken_at_once_stay_in_order(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus = await connect()
        order: list[bytes] = []
        untaken: list[bytes] = []

        def take_even(message: BusMessage) -> bool:
            if int(message.payload) == 99:
                raise ValueError("not a number of this test")
            even = int(message.payload) % 2 == 0
            if even:
                order.append(message.payload)
            return even

        async def follow() -> None:
            async with bus.follow(f"in.{word}.*", 0, take_even) as messages:
                async for message in messages:
                    order.append(message.payload)
                    untaken.append(message.payload)
                    await asyncio.sleep(0)

        following = asyncio.create_task(follow())
        for n in range(40):
            await publish(bus, f"in.{word}.{n % 3}", b"%d" % n)
        while not following.done():  # only a message for which it waits is taken at once
            await publish(bus, f"in.{word}.0", b"99")
            await asyncio.sleep(0.01)
        with pytest.raises(ValueError, match="not a number"):
            await following
        assert [each for each in order if each != b"99"] == [b"%d" % n for n in range(40)]
        assert {b"%d" % n for n in range(1, 40, 2)} <= {*untaken}

    play(scene)


def test_a_follower_of_the_newest(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus = await connect()
        for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3")):
            await publish(bus, f"keys.{word}.{key.decode()}", key + value)
        async with bus.follow(f"keys.{word}.>", "newest") as messages:
            assert sorted(await take(messages, 2)) == [b"a3", b"b2"]
            await publish(bus, f"keys.{word}.b", b"b4")
            assert await take(messages, 1) == [b"b4"]
        before = await bus.now()
        await publish(bus, f"keys.{word}.b", b"b5")
        newest = await bus.newest(f"keys.{word}.*")
        assert sorted(each.payload for each in newest) == [b"a3", b"b5"]
        a, b = sorted(newest, key=lambda each: each.payload)
        assert a.stored <= before <= b.stored <= await bus.now()
        async with bus.follow(f"keys.{word}.b", 0) as messages:
            assert (await anext(messages)).stored == pytest.approx(b.stored, abs=1e-3)
        assert await bus.newest(f"keys.{word}.none") == []

    play(scene)


def test_a_name_is_stored_once(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus, other = await connect(), await connect()
        first = await publish(bus, f"in.{word}", b"1", name=f"{word}-1")
        assert await publish(other, f"in.{word}", b"1", name=f"{word}-1") == first
        await publish(bus, f"in.{word}", b"2", name=f"{word}-2")
        async with other.follow(f"in.{word}", 0) as messages:
            assert await take(messages, 2) == [b"1", b"2"]

    play(scene)


def test_whoever_was_overtaken_publishes_no_more(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        zombie, new = await connect(), await connect()
        lease, place = f"out.{word}.lease", f"out.{word}.results"
        old = Guard(lease, await publish(zombie, lease, b"1", guard=Guard(lease, 0), only=True))
        await publish(zombie, place, b"before", guard=old)
        with pytest.raises(Overtaken):
            await publish(new, lease, b"2", guard=Guard(lease, 0), only=True)
        taken = Guard(lease, await publish(new, lease, b"2", guard=old, only=True))
        with pytest.raises(Overtaken):
            await publish(zombie, place, b"late", guard=old)
        with pytest.raises(Overtaken):
            await publish(zombie, lease, b"3", guard=old, only=True)
        await publish(new, place, b"after", guard=taken)
        async with new.follow(place, 0) as messages:
            assert await take(messages, 2) == [b"before", b"after"]
        (only,) = await new.newest(lease)
        assert only.payload == b"2"

    play(scene)


def test_only_the_newest_is_kept(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus = await connect()
        for n in range(3):
            await publish(bus, f"out.{word}.state", b"%d" % n, only=True)
        await publish(bus, f"out.{word}.end", b"end")
        async with bus.follow(f"out.{word}.>", 0) as messages:
            assert await take(messages, 2) == [b"2", b"end"]

    play(scene)


def test_a_connection_is_there_until_it_closes(play: Callable[[Scene], None]) -> None:
    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        asker, other = await connect(), await connect()
        assert not await asker.is_there(word)
        await other.answer(word)
        assert await asker.is_there(word)
        await other.close()
        while await asker.is_there(word):
            await asyncio.sleep(0.01)
        with pytest.raises(NotStored):
            await publish(other, f"in.{word}", b"")

    play(scene)


@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=40)), min_size=1, max_size=30),
    st.data(),
)
def test_any_cut_and_redelivery(
    play: Callable[[Scene], None], sent: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """Each message is seen once and in order, however often it is sent and the follower cut."""
    again = data.draw(st.lists(st.integers(0, len(sent) - 1), max_size=10))
    cuts = data.draw(st.lists(st.integers(1, 10), max_size=5))

    async def scene(connect: Callable[[], Awaitable[Bus]], word: str) -> None:
        bus = await connect()
        on_their_way = [
            await bus.send(f"in.{word}.{key}", value, name=f"{word}-{n}")
            for n, (key, value) in enumerate(sent)
        ]
        numbers = await asyncio.gather(*on_their_way)
        assert numbers == sorted(set(numbers))
        for n in again:
            key, value = sent[n]
            assert await publish(bus, f"in.{word}.{key}", value, name=f"{word}-{n}") == numbers[n]
        seen: list[BusMessage] = []
        for cut in [*cuts, len(sent)]:
            after = seen[-1].sequence if seen else 0
            async with bus.follow(f"in.{word}.*", after) as messages:
                number = min(cut, len(sent) - len(seen))
                seen += [await anext(messages) for _ in range(number)]
        assert [(each.subject[-1], each.payload) for each in seen] == sent
        assert [each.sequence for each in seen] == numbers

    play(scene)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("in.1.a", "in.1.a", True),
        ("in.1.*", "in.1.a", True),
        ("in.1.*", "in.1.a.b", False),
        ("in.>", "in.1.a", True),
        ("in.1.>", "in.1", False),
        ("in.*.a", "in.2.b", False),
    ],
)
def test_patterns(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


def test_a_thread_that_outlives_the_loop_is_told_that_nothing_is_stored() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(NotStored, match="the service has ended"):
        start_on(loop, asyncio.sleep(0))

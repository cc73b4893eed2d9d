"""Resuming after a cut: each entry once, the missed range reported, and every epoch seen."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk, Marker
from mimamba.service.client.client import Client
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.protocol.messages import (
    MarkerMessage,
    Position,
    PredictionMessage,
    ServerMessage,
    Skipped,
    Subscribe,
    Subscribed,
    decode_server,
)
from mimamba.service.stream.reader import SessionReader, SharedFrames
from tests.service.live import PATIENCE, Live, Talk, live, talk
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse
from tests.service.proxy import Line, bad_line
from tests.service.scripted import Stage, staged


@dataclass
class Ledger:
    """Messages of one topic to one subscriber; it fails on a doubled or a missing one."""

    epochs: list[str] = field(default_factory=list)
    expected: int = 0
    resumed: int = 0
    missed: int = 0
    got: dict[tuple[str, int], ServerMessage] = field(default_factory=dict)

    def note(self, message: ServerMessage) -> None:
        if isinstance(message, Subscribed):
            [following] = message.next.values()
            if self.epochs and message.epoch == self.epochs[-1]:
                assert following == self.expected
                self.resumed += 1
            else:
                assert message.epoch not in self.epochs
                self.epochs.append(message.epoch)
                self.expected = following
        elif isinstance(message, Skipped):
            assert message.first == self.expected
            self.missed += message.last - message.first + 1
            self.expected = message.last + 1
        elif isinstance(message, PredictionMessage | MarkerMessage):
            assert message.seq == self.expected
            self.got[self.epochs[-1], message.seq] = message
            self.expected += 1


KEPT, PREDICTIONS = 6, 24
"""Entries in the logs of these sessions."""

steps = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 12)),
    st.tuples(st.just("hear"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["cut", "epoch"]), st.just(0)),
)


class Played:
    """A session with a source that sets one marker a sample."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.epoch = self.at = 0

    def say(self, count: int) -> None:
        for n in range(self.at, self.at + count):
            marker = Marker(float(n), n, f"{self.epoch} {n}", "test")
            data = np.zeros((1, 4), np.float32)
            self._stage.play(Chunk(data, np.array([float(n)]), n, self.epoch, (marker,)))
        self.at += count

    def begin_epoch(self) -> None:
        self.epoch, self.at = self.epoch + 1, 0
        self.say(1)


def connect(stage: Stage, ledger: Ledger) -> SessionReader:
    """A new connection that continues from the end of the ledger."""
    reader = SessionReader(stage.session, SharedFrames(ServiceCounters()), binary=True)
    epoch = ledger.epochs[-1] if ledger.epochs else ""
    since = {"marker": ledger.expected - 1} if ledger.epochs else {}
    reader.subscribe(["marker"], Position(epoch, since))  # type: ignore[arg-type]
    ledger.note(decode_server(reader.describe()))
    return reader


@settings(max_examples=20)
@given(st.lists(steps, max_size=25))
def test_any_course_of_cuts_and_epochs(course: list[tuple[str, int]]) -> None:
    with staged(None, max_events=KEPT) as stage:
        played, ledger = Played(stage), Ledger()
        reader = connect(stage, ledger)
        for what, count in [*course, ("hear", 99)]:
            if what == "say":
                played.say(count)
            elif what == "epoch":
                played.begin_epoch()
            elif what == "cut":
                reader = connect(stage, ledger)
            else:
                for _ in range(count):
                    for frame in reader.take():
                        ledger.note(decode_server(frame))
        # In the end it knows the present epoch to its last entry.
        assert stage.session.logs is not None
        assert ledger.epochs[-1] == stage.session.logs.epoch
        assert ledger.expected == played.at
        for (_, seq), message in ledger.got.items():
            assert isinstance(message, MarkerMessage)
            assert message.index == seq
        kept = {(ledger.epochs[-1], seq) for seq in range(max(0, played.at - KEPT), played.at)}
        assert kept <= ledger.got.keys()


@pytest.mark.anyio
async def test_a_client_cut_at_random_misses_only_what_it_is_told_of(tmp_path: Path) -> None:
    random_checkpoint(tmp_path)
    path = write_muse(tmp_path / "muse.csv", seconds=60)
    source, model = f"replay://{path}?speed=32&loop=1", str(tmp_path / "random.safetensors")
    ledger, witness = Ledger(), Ledger()
    with (
        patch("mimamba.service.logs.epoch_logs.HOUR", 0.25 * PREDICTIONS),
        live(source, model=model) as service,
    ):
        service.opened("replay-1")
        async with bad_line(service.url) as line, talk(service.url) as other:
            await other.say(Subscribe("replay-1", ["prediction"]))
            watching = asyncio.create_task(watch(other, witness))
            course = asyncio.create_task(disturb(service, line, ledger, witness))
            async with asyncio.timeout(PATIENCE), Client(line.url, pause=0.02) as client:
                await client.subscribe("replay-1", ["prediction"])
                async for message in client:
                    ledger.note(message)
                    if course.done():
                        break
            await course
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert ledger.missed > 0
    assert ledger.resumed > 2
    assert len(ledger.epochs) > 1
    common = ledger.got.keys() & witness.got.keys()
    assert len(common) > 20
    assert all(ledger.got[each] == witness.got[each] for each in common)


async def watch(other: Talk, witness: Ledger) -> None:
    """A subscriber that is never cut."""
    while True:
        witness.note(await other.hear())


async def disturb(service: Live, line: Line, ledger: Ledger, witness: Ledger) -> None:
    """Cut the line at random places; for longer than the log lasts, and with a seek meanwhile.

    Until there was all that the ledger is to tell of: a slow machine finds a new epoch at each cut.
    """
    rng = random.Random(0)
    whats = ("cut", "away", "cut", "seek", "cut", "seek away")
    for n in count():
        enough = ledger.missed > 0 and ledger.resumed > 2 and len(ledger.epochs) > 1
        if n >= len(whats) and enough and len(ledger.got.keys() & witness.got.keys()) > 20:
            break
        what = whats[n % len(whats)]
        await more(ledger, rng.randint(1, 12))
        if "seek" in what:
            change = partial(service.http.post, json={"position": 0})
            await asyncio.to_thread(change, "/v1/sessions/replay-1/replay")
        line.up = "away" not in what
        if what != "seek":
            line.cut()
        if not line.up:
            await more(witness, 2 * PREDICTIONS)
            line.up = True
    await more(ledger, 5)


async def more(ledger: Ledger, count: int) -> None:
    """Wait for this many more entries."""
    enough = len(ledger.got) + count
    while len(ledger.got) < enough:
        await asyncio.sleep(0.002)

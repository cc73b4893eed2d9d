"""A service at eight times the recorded pace, and visitors that come and go: what stays of it.

Two recordings are played: one is let alone, so that its logs fill, the other begins anew every 15 s
and is moved about; beside them a simulated headset is recorded. Logs grow until they are full: at
this pace in an eighth of their time, the longest, an hour of predictions, after 450 s. Memory is
judged from there on; in less than 600 s from three quarters on, with logs that are less full. At
the end one still records and one still reads, as it is when somebody stops a service.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from mimamba.drivers.simulator.synthesis import CH_NAMES, Synthesis
from mimamba.service.bench.figures import Figure, most
from mimamba.service.bench.remains import PROGRAM, Leftovers
from mimamba.service.bench.service_process import ServiceProcess, StartingProcess, begun
from mimamba.service.bench.visitors import TOPICS, LoadClients, told_so_far
from mimamba.service.bench.wire import ask, connected, say
from mimamba.service.protocol.messages import Subscribe
from mimamba.service.sessions.epoch_logs import HOUR

SPEED = 8
WATCHED, MOVED, LIVE = "/long.csv?", "/short.csv?", "simulate://?seed=1"
"""What the sources have in them: the recordings' names, and the headset."""
PERIOD, SFREQ = 120.0, 256
"""Seconds of signal that are made, and that the short recording has."""
PASSERS_BY = 8
FULL, SHARE = HOUR / SPEED, 0.75
"""Seconds until all logs are full, and the share of a shorter time from where memory is judged."""
FLAT, ENDS_WITHIN = 5.0, 8.0
"""Per cent by which memory may grow, and seconds in which the service ends."""
NEAR = 5
"""Looks at the memory that are taken together."""
LOUD = ("warning", "error", "critical")
ASKED_FOR = ("client erred", "Invalid HTTP request received.")
"""Warnings that visitors bring about on purpose."""


@dataclass(frozen=True)
class Memory:
    """What the service took, MB: early, when its logs were full, at the end and at most since."""

    early: float
    full: float
    end: float
    most: float

    @property
    def growth(self) -> float:
        """Per cent, from when its logs were full to the most of it."""
        return 100 * (self.most / self.full - 1)


def measure(seconds: float) -> list[Figure]:
    """All figures of one long run; what was wrong in it is told on stderr in its own words."""
    with TemporaryDirectory() as folder:
        sources = sources_in(Path(folder), seconds)
        settings = {"model": "demo", "log_format": "json"}
        with begun(*sources, code=PROGRAM, **settings) as service:
            return asyncio.run(soak(service, seconds))


def sources_in(folder: Path, seconds: float) -> list[str]:
    """The sources: a recording that lasts for all of the time, one in a loop, and a headset."""
    short = write_muse(folder / "short.csv", 1)
    long = write_muse(folder / "long.csv", int(SPEED * seconds / PERIOD) + 2)
    return [*(f"replay://{path}?speed={SPEED}&loop=1" for path in (long, short)), LIVE]


def write_muse(path: Path, rounds: int) -> Path:
    """Simulated signal, again and again, in muse-lsl's layout; 20 samples of it are lost."""
    data = np.array(Synthesis("tour", 1, SFREQ).next(round(PERIOD * SFREQ)))
    kept = np.delete(data, range(5000, 5020), axis=0)
    times = np.delete(np.arange(len(data)), range(5000, 5020)) / SFREQ
    with path.open("w", encoding="utf-8") as file:
        file.write(f"timestamps,{','.join(CH_NAMES)}\n")
        for nth in range(rounds):
            np.savetxt(file, np.column_stack([times + nth * PERIOD, kept]), "%.3f", ",")
    return path


async def soak(begun: StartingProcess, seconds: float) -> list[Figure]:
    """Visit for so long, then stop the service in the midst of it."""
    service = begun.served()
    watched, moved, recorded = await opened(service)
    visitors = LoadClients(service.url, watched, moved, recorded)
    end = time.monotonic() + seconds
    passers = [asyncio.create_task(visitors.come_and_go(end)) for _ in range(PASSERS_BY)]
    memory, told = await look(service, watched, seconds)
    await asyncio.gather(*passers)
    await ask(service.url, "/v1/recordings", {"session": recorded})
    async with connected(service.url) as last:
        await say(last, Subscribe(watched, TOPICS))
        took = await asyncio.to_thread(begun.end)
    return [
        *(Figure(f"visits: {kind}", n, "") for kind, n in sorted(visitors.visits.items())),
        Figure("messages heard", visitors.messages, "messages"),
        Figure("recordings made", visitors.recordings, "recordings"),
        none_of("visits that hung or failed", visitors.failures),
        *of_memory(memory, told, seconds),
        *of_log(begun.said.read_text().splitlines(), visitors.erred),
        most("end after a signal", took, "s", ENDS_WITHIN),
        Figure("exit status", begun.process.returncode, "", "0", begun.process.returncode == 0),
    ]


async def opened(service: ServiceProcess) -> tuple[str, str, str]:
    """The ids of the three sessions, once they are open."""
    while True:
        _, told = await ask(service.url, "/v1/sessions")
        found = {each["source"]: each for each in msgspec.json.decode(told)}
        if len(found) == 3 and all(each["state"] != "opening" for each in found.values()):
            return _id(found, WATCHED), _id(found, MOVED), _id(found, LIVE)
        await asyncio.sleep(0.1)


def _id(found: dict[str, dict[str, str]], part: str) -> str:
    return next(each["id"] for source, each in found.items() if part in source)


async def look(service: ServiceProcess, session: str, seconds: float) -> tuple[Memory, int]:
    """Memory in the course of time, and the predictions there were when its logs were full."""
    start, period = time.monotonic(), seconds / 100
    full = full_after(seconds)
    before = [await asyncio.to_thread(service.rss)]
    while time.monotonic() < start + full:
        await asyncio.sleep(period)
        before.append(await asyncio.to_thread(service.rss))
    told = await told_so_far(service.url, session)
    after = [await asyncio.to_thread(service.rss)]
    while time.monotonic() < start + seconds:
        await asyncio.sleep(period)
        after.append(await asyncio.to_thread(service.rss))
    tenth = len(before) // 7  # of all of the time, about
    early, full, end = map(
        statistics.median, (before[tenth : tenth + NEAR], after[:NEAR], after[-NEAR:])
    )
    return Memory(early, full, end, max(after)), told


def full_after(seconds: float) -> float:
    """Seconds of so many from where memory is judged."""
    return min(FULL, SHARE * seconds)


def of_memory(memory: Memory, told: int, seconds: float) -> list[Figure]:
    """Its figures; from when on it is judged, and how full the logs were, stand beside."""
    full = full_after(seconds)
    return [
        Figure(f"predictions kept after {full:g} s", told, "entries"),
        Figure("memory after a tenth of the time", memory.early, "MB"),
        Figure(f"memory after {full:g} s", memory.full, "MB"),
        Figure(f"memory after {seconds:g} s", memory.end, "MB"),
        most(f"growth since {full:g} s, at most", memory.growth, "%", FLAT),
    ]


def of_log(lines: Sequence[str], erred: int) -> list[Figure]:
    """Warnings but for those that visitors asked for, and the tasks and threads that are left."""
    remains = Leftovers(["unknown: the service did not say"], ["unknown: the service did not say"])
    loud: list[str] = []
    asked_for = 0
    for line in lines:
        event = read_line(line)
        if isinstance(event, Leftovers):
            remains = event
        elif event.get("event") in ASKED_FOR and event.get("level") == "warning":
            asked_for += 1
        elif event.get("level") in LOUD:
            loud.append(line)
    return [
        Figure("warnings of visitors' errors", asked_for, "", f"<= {erred}", asked_for <= erred),
        none_of("other warnings in the log", loud),
        none_of("tasks left at the end", remains.tasks),
        none_of("threads left at the end", remains.threads),
    ]


def read_line(line: str) -> Leftovers | dict[str, object]:
    """An event of the log; what is none has gone past it, and is as bad as an error."""
    try:
        told: dict[str, object] = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {"level": "error", "event": line}
    return msgspec.convert(told, Leftovers) if told.get("type") == "remains" else told


def none_of(what: str, found: Sequence[str]) -> Figure:
    """How many there are of what should not be; each is told on stderr."""
    for each in found:
        sys.stderr.write(f"{what}: {each}\n")
    return Figure(what, len(found), "", "0", not found)

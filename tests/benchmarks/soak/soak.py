"""A service at eight times the recorded pace under load: memory, warnings, tasks, threads.

Two recordings are played. One only plays, so that its logs fill; the other restarts every 15 s and
is moved in. A simulated headset is recorded beside them. Logs grow until they are full: at this
pace in an eighth of their length, the longest (an hour of predictions) after 450 s. Growth of
memory is measured from then on; in a run of less than 600 s, from three quarters of it on. At the
end a recording and a client are still active, as when a person stops a service.
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

from mimamba.drivers.simulator.synthesis import CH_NAMES, Synthesizer
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.minimal_client import connect_client, request, send
from mimamba.service.bench.service_process import ServiceProcess, StartingService, start_service
from mimamba.service.logs.epoch_logs import HOUR
from mimamba.service.protocol.messages import Subscribe
from tests.benchmarks.soak.leak_check import PROGRAM, Leftovers
from tests.benchmarks.soak.load_clients import TOPICS, LoadClients, count_predictions

SPEED = 8
WATCHED, MOVED, LIVE = "/long.csv?", "/short.csv?", "simulate://?seed=1"
"""Parts of the sources' URLs, by which the sessions are found."""
PERIOD, SFREQ = 120.0, 256
"""Length of the short recording, s, and its sampling rate, Hz."""
CLIENTS = 8
FULL, SHARE = HOUR / SPEED, 0.75
"""Seconds until all logs are full, and the share of a shorter run after which growth counts."""
FLAT, ENDS_WITHIN = 5.0, 8.0
"""Largest growth of memory, %, and longest shutdown, s."""
SMOOTHED = 5
"""Number of memory readings whose median is used."""
WARNINGS = ("warning", "error", "critical")
EXPECTED = ("client erred", "Invalid HTTP request received.")
"""Warnings that clients cause on purpose."""


@dataclass(frozen=True)
class Memory:
    """Memory of the service, MB: early, with full logs, at the end, and the most since full."""

    early: float
    full: float
    end: float
    most: float

    @property
    def growth(self) -> float:
        """Growth since the logs were full, %."""
        return 100 * (self.most / self.full - 1)


def measure(seconds: float) -> list[Figure]:
    """Run for this long; details of what went wrong are printed on stderr."""
    with TemporaryDirectory() as folder:
        sources = make_sources(Path(folder), seconds)
        settings = {"model": "demo", "log_format": "json"}
        with start_service(*sources, code=PROGRAM, **settings) as service:
            return asyncio.run(soak(service, seconds))


def make_sources(folder: Path, seconds: float) -> list[str]:
    """Write the two recordings, and return the URLs of all three sources."""
    short = write_muse(folder / "short.csv", 1)
    long = write_muse(folder / "long.csv", int(SPEED * seconds / PERIOD) + 2)
    return [*(f"replay://{path}?speed={SPEED}&loop=1" for path in (long, short)), LIVE]


def write_muse(path: Path, rounds: int) -> Path:
    """Write repeated simulated signal in muse-lsl's layout; each round lacks 20 samples."""
    data = np.array(Synthesizer("tour", 1, SFREQ).next(round(PERIOD * SFREQ)))
    kept = np.delete(data, range(5000, 5020), axis=0)
    times = np.delete(np.arange(len(data)), range(5000, 5020)) / SFREQ
    with path.open("w", encoding="utf-8") as file:
        file.write(f"timestamps,{','.join(CH_NAMES)}\n")
        for nth in range(rounds):
            np.savetxt(file, np.column_stack([times + nth * PERIOD, kept]), "%.3f", ",")
    return path


async def soak(starting: StartingService, seconds: float) -> list[Figure]:
    """Run clients for this long, then stop the service while it is busy."""
    service = starting.wait_until_ready()
    watched, moved, recorded = await find_sessions(service)
    clients = LoadClients(service.url, watched, moved, recorded)
    end = time.monotonic() + seconds
    visits = [asyncio.create_task(clients.come_and_go(end)) for _ in range(CLIENTS)]
    memory, predictions = await watch_memory(service, watched, seconds)
    await asyncio.gather(*visits)
    await request(service.url, "/v1/recordings", {"session": recorded})
    async with connect_client(service.url) as last:
        await send(last, Subscribe(watched, TOPICS))
        took = await asyncio.to_thread(starting.stop)
    return [
        *(Figure(f"visits: {kind}", n, "") for kind, n in sorted(clients.visits.items())),
        Figure("messages received", clients.messages, "messages"),
        Figure("recordings made", clients.recordings, "recordings"),
        no_entries("visits that hung or failed", clients.failures),
        *memory_figures(memory, predictions, seconds),
        *log_figures(starting.stderr.read_text().splitlines(), clients.erred),
        at_most("shutdown after a signal", took, "s", ENDS_WITHIN),
        Figure(
            "exit status", starting.process.returncode, "", "0", starting.process.returncode == 0
        ),
    ]


async def find_sessions(service: ServiceProcess) -> tuple[str, str, str]:
    """Wait until the three sessions are open, and return their ids."""
    while True:
        _, answer = await request(service.url, "/v1/sessions")
        found = {each["source"]: each for each in msgspec.json.decode(answer)}
        if len(found) == 3 and all(each["state"] != "opening" for each in found.values()):
            return _id(found, WATCHED), _id(found, MOVED), _id(found, LIVE)
        await asyncio.sleep(0.1)


def _id(found: dict[str, dict[str, str]], part: str) -> str:
    return next(each["id"] for source, each in found.items() if part in source)


async def watch_memory(service: ServiceProcess, session: str, seconds: float) -> tuple[Memory, int]:
    """Read the memory regularly; also count the predictions kept when the logs are full."""
    start, period = time.monotonic(), seconds / 100
    full = full_after(seconds)
    before = [await asyncio.to_thread(service.rss)]
    while time.monotonic() < start + full:
        await asyncio.sleep(period)
        before.append(await asyncio.to_thread(service.rss))
    predictions = await count_predictions(service.url, session)
    after = [await asyncio.to_thread(service.rss)]
    while time.monotonic() < start + seconds:
        await asyncio.sleep(period)
        after.append(await asyncio.to_thread(service.rss))
    tenth = len(before) // 7  # about a tenth of the whole run
    early, full, end = map(
        statistics.median, (before[tenth : tenth + SMOOTHED], after[:SMOOTHED], after[-SMOOTHED:])
    )
    return Memory(early, full, end, max(after)), predictions


def full_after(seconds: float) -> float:
    """Seconds of a run of this length after which growth counts."""
    return min(FULL, SHARE * seconds)


def memory_figures(memory: Memory, predictions: int, seconds: float) -> list[Figure]:
    """Make the figures of memory, with the number of predictions kept."""
    full = full_after(seconds)
    return [
        Figure(f"predictions kept after {full:g} s", predictions, "entries"),
        Figure("memory after a tenth of the time", memory.early, "MB"),
        Figure(f"memory after {full:g} s", memory.full, "MB"),
        Figure(f"memory after {seconds:g} s", memory.end, "MB"),
        at_most(f"growth since {full:g} s, largest", memory.growth, "%", FLAT),
    ]


def log_figures(lines: Sequence[str], erred: int) -> list[Figure]:
    """Make the figures of unexpected warnings, and of the tasks and threads left at the end."""
    unknown = ["unknown: the service did not report"]
    leftovers = Leftovers(unknown, unknown)
    warnings: list[str] = []
    expected = 0
    for line in lines:
        event = read_line(line)
        if isinstance(event, Leftovers):
            leftovers = event
        elif event.get("event") in EXPECTED and event.get("level") == "warning":
            expected += 1
        elif event.get("level") in WARNINGS:
            warnings.append(line)
    return [
        Figure("warnings of clients' errors", expected, "", f"<= {erred}", expected <= erred),
        no_entries("other warnings in the log", warnings),
        no_entries("tasks left at the end", leftovers.tasks),
        no_entries("threads left at the end", leftovers.threads),
    ]


def read_line(line: str) -> Leftovers | dict[str, object]:
    """Decode a line of the log; a line that is not JSON counts as an error."""
    try:
        event: dict[str, object] = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {"level": "error", "event": line}
    return msgspec.convert(event, Leftovers) if event.get("type") == "leftovers" else event


def no_entries(what: str, found: Sequence[str]) -> Figure:
    """Make a figure that should be 0; each entry is printed on stderr."""
    for each in found:
        sys.stderr.write(f"{what}: {each}\n")
    return Figure(what, len(found), "", "0", not found)

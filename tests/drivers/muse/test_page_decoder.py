"""The page's decoder of Muse packets, run by Node, against the Python one: sample by sample.

The same notifications go into both: recorded ones, and made ones with seeded losses, delays,
repeats and noise.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamba.drivers.driver import AuxiliaryChunk, Chunk
from mimamba.drivers.muse.protocol import ACCELEROMETER, ATHENA, EEG, GYROSCOPE, PPG, TELEMETRY
from mimamba.drivers.muse.receiver import MuseReceiver
from tests.drivers.muse.notifications import RECORDED, Notification, classic, recorded

DASHBOARD = Path(__file__).resolve().parents[3] / "dashboard"
SCRIPT = DASHBOARD / "tests" / "muse" / "receive.mjs"
ENTRY = DASHBOARD / "src" / "muse" / "receiver.ts"
OPTICS = (0x34, 0x35, 0x36)
"""Tags of an Athena's optical blocks."""


def by_page(runs: Sequence[Sequence[Notification]]) -> list[dict[str, Any]]:
    """What the page's receiver makes of each run."""
    node = shutil.which("node")
    if node is None or not (DASHBOARD / "node_modules" / "vite").is_dir():
        pytest.skip("Node and dashboard/node_modules are needed: run npm ci in dashboard/")
    text = json.dumps(
        [[(each.characteristic, each.data.hex(), each.at) for each in run] for run in runs]
    )
    done = subprocess.run(
        [node, SCRIPT, ENTRY], input=text, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@dataclass
class Received:
    """What the Python receiver makes of a run."""

    chunks: list[Chunk]
    sensors: list[AuxiliaryChunk]
    battery: float | None


def by_driver(run: Sequence[Notification]) -> Received:
    receiver = MuseReceiver()
    received = Received([], [], None)
    for each in run:
        receiver.feed(each.characteristic, each.data, each.at)
        received.chunks += receiver.take_eeg()
        received.sensors += receiver.take_auxiliary()
    receiver.flush()
    received.chunks += receiver.take_eeg()
    received.sensors += receiver.take_auxiliary()
    received.battery = receiver.battery
    return received


def check_sensors(
    theirs: Sequence[dict[str, Any]], ours: Sequence[AuxiliaryChunk]
) -> dict[str, int]:
    """Compare each sensor's samples, which the page joins into longer chunks; return how many."""
    counts = {}
    names = {each.info.name for each in ours}
    assert {each["sensor"]["name"] for each in theirs} == names
    for name in names:
        found = [each for each in theirs if each["sensor"]["name"] == name]
        wanted = [each for each in ours if each.info.name == name]
        info = wanted[0].info
        for each in found:
            facts = each["sensor"]
            assert (facts["unit"], facts["sfreq"]) == (info.unit, info.sfreq)
            assert tuple(facts["channels"]) == info.ch_names
        data = [
            np.array(each["data"], np.float32).reshape(-1, len(info.ch_names)) for each in found
        ]
        assert np.array_equal(
            np.concatenate(data), np.concatenate([each.data for each in wanted]), equal_nan=True
        )
        stamps = np.concatenate([each["timestamps"] for each in found])
        assert np.allclose(
            stamps, np.concatenate([each.timestamps for each in wanted]), rtol=0, atol=1e-9
        )
        assert numbers((each["first"], len(each["timestamps"])) for each in found) == numbers(
            (each.first, len(each.data)) for each in wanted
        )
        counts[name] = len(stamps)
    return counts


def numbers(spans: Iterable[tuple[int, int]]) -> list[int]:
    """The number of each sample, by first and length of its chunk."""
    return [first + at for first, length in spans for at in range(length)]


def check(
    runs: Sequence[Sequence[Notification]], counts: list[dict[str, int]] | None = None
) -> list[list[Chunk]]:
    """Compare both decoders; return the chunks of each run, and add its sensors' ``counts``."""
    every = []
    for run, found in zip(runs, by_page(runs), strict=True):
        received = by_driver(run)
        chunks = received.chunks
        assert found["battery"] == received.battery
        samples = check_sensors(found["sensors"], received.sensors)
        if counts is not None:
            counts.append(samples)
        assert [each["first"] for each in found["chunks"]] == [each.first for each in chunks]
        for theirs, ours in zip(found["chunks"], chunks, strict=True):
            data = np.array(theirs["data"], np.float32).reshape(ours.data.shape)
            assert np.array_equal(data, ours.data)
            assert np.allclose(theirs["timestamps"], ours.timestamps, rtol=0, atol=1e-9)
        every.append(chunks)
    return every


def damage(sent: Sequence[Notification], seed: int, loss: float) -> list[Notification]:
    """Lose, delay within 100 ms, and repeat notifications at random."""
    rng = np.random.default_rng(seed)
    arrived = []
    for each in sent:
        if rng.random() < loss:
            continue
        at = each.at + rng.uniform(0, 0.099)
        arrived.append(Notification(each.characteristic, each.data, at))
        if rng.random() < 0.2:
            arrived.append(Notification(each.characteristic, each.data, at + rng.uniform(0, 0.3)))
    return sorted(arrived, key=lambda each: each.at)


@pytest.mark.parametrize("preset", RECORDED)
def test_recorded_packets_of_an_athena(shared_data: Path, preset: str) -> None:
    whole = recorded(shared_data, preset)
    runs = [whole, *(damage(whole[:400], seed, 0.04 * seed) for seed in range(3))]
    counts: list[dict[str, int]] = []
    every = check(runs, counts)
    assert sum(chunk.n_times for chunk in every[0]) > 256 * 55
    sensors = {"acceleration": 52, "rotation": 52} | ({"ppg": 64} if preset == "p1041" else {})
    assert counts[0].keys() == sensors.keys()
    assert all(counts[0][name] > 55 * sfreq for name, sfreq in sensors.items())


def test_made_packets_of_a_muse_2() -> None:
    runs = [
        damage(list(classic(6.0, first)), seed, loss)
        for seed, loss in enumerate([0.0, 0.01, 0.05, 0.3, 0.7])
        for first in (0, 65450)
    ]
    counts: list[dict[str, int]] = []
    for chunks in check([list(classic(20.0, 65400)), *runs], counts):
        stamps = np.concatenate([chunk.timestamps for chunk in chunks])
        assert (np.diff(stamps) > 0).all()
        assert all(before.end <= after.first for before, after in pairwise(chunks))
    assert counts[0] == {"ppg": 1278, "acceleration": 1038, "rotation": 1038}


def test_a_counter_that_starts_again_and_a_stall_that_catches_up() -> None:
    again = [Notification(e.characteristic, e.data, e.at + 5.0) for e in classic(4.0, 0)]
    stalled = [
        Notification(e.characteristic, e.data, max(e.at, 4.5) if 2.0 < e.at < 4.5 else e.at)
        for e in classic(8.0)
    ]
    within = list(classic(8.0))
    cut = next(k for k, each in enumerate(within) if each.at > 3 and each.characteristic == EEG[2])
    halted = within[:cut] + [replace(each, at=max(each.at, 3.2)) for each in within[cut:]]
    asleep = [e for e in classic(30.0) if not 3.0 < e.at < 22.0]
    twice = [  # 4 s late, and stopped once more while it catches up
        replace(each, at=max(each.at, 7.0 + each.at / 40 + (0.2 if each.at > 3.5 else 0.0)))
        if each.at > 3.0
        else each
        for each in classic(12.0)
    ]
    *_, stopped, whole = check([[*classic(4.0, 300), *again], stalled, asleep, twice, halted])
    assert sum(chunk.n_times for chunk in whole) == 8 * 256 // 12 * 12
    assert [chunk.first for chunk in stopped[1:]] == [chunk.end for chunk in stopped[:-1]]


def test_noise() -> None:
    rng = np.random.default_rng(14)
    names = [*EEG, *PPG, *ATHENA, ACCELEROMETER, GYROSCOPE, TELEMETRY]
    names.append("0000180f-0000-1000-8000-00805f9b34fb")
    runs = []
    for _ in range(20):
        run = []
        for k in range(200):
            length = int(rng.choice([0, 2, 19, 20, 20, 20, 60, 220]))
            data = bytearray(rng.bytes(length))
            if length > 20:  # a header that may be read on from
                data[0] = length
                data[9] = int(rng.choice([0x11, 0x12, 0x47, 0x53, *OPTICS, 0x88, 0x98]))
            run.append(Notification(str(rng.choice(names)), bytes(data), 0.01 * k))
        runs.append(run)
    check(runs)

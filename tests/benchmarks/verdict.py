"""Hops of a live session while a verdict is computed, and without; and the time of the verdict.

The sitting has twelve blocks of 30 s at 256 Hz, and the model ``workload`` is tested first, as in
every calibration of calm and strained.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.calibration.judge_processes import ask_judge, start_judge
from mimamba.service.calibration.judge_program import Judgement
from mimamba.service.calibration.live_calibration import LiveCalibration
from mimamba.service.calibration.plan import CalibrationPlan, complete_plan
from mimamba.service.engine.engine import Engine
from mimamba.service.logs.prediction_log import PublishedPrediction
from tests.service.calibration.wearer import Wearer, make_calibrations
from tests.service.scripted import Stage, staged

PLAN = complete_plan(CalibrationPlan(contrast="calm-strained"))
PERSON = "P01"
VERDICT_AIM, LATEST = 5.0, 250.0
"""Seconds that a verdict may take; milliseconds from which a hop is late: a person would see it."""
START = 12.0
"""Seconds until a process waits for its line, on a busy machine."""
CHUNK = 32
"""Samples of a chunk: eight arrive each second."""
SFREQ = 256


def measure(seconds: float) -> list[Figure]:
    """Measure hops for half of this time without, and then with verdicts one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        name = _sit(Path(folder))
        with staged(Engine(load_checkpoint("demo"))) as stage:
            quiet = _delays(stage, seconds / 2, 0)
            verdicts = _Verdicts(Path(folder) / "people", name)
            verdicts.thread.start()
            loaded = _delays(stage, seconds / 2, round(SFREQ * seconds / 2) // CHUNK * CHUNK)
            verdicts.stop()
    typical, worst = (np.percentile(loaded, share) for share in (50, 99))
    late = int((loaded > LATEST).sum())
    return [
        at_most("a verdict, from the last block on", max(verdicts.wall), "s", VERDICT_AIM),
        Figure("its CPU time", float(np.mean(verdicts.cpu)), "s"),
        Figure("verdicts meanwhile", len(verdicts.wall), ""),
        Figure("delay of a hop, median, without", float(np.median(quiet)), "ms"),
        Figure("delay of a hop, median, with", float(typical), "ms"),
        Figure("the same, with as a multiple of without", float(typical / np.median(quiet)), ""),
        Figure("delay of a hop, 99 %, without", float(np.percentile(quiet, 99)), "ms"),
        Figure("delay of a hop, 99 %, with", float(worst), "ms"),
        Figure(f"hops later than {LATEST:g} ms, with", late, "", "0", late == 0),
        Figure("hops with", len(loaded), ""),
    ]


def _sit(folder: Path) -> str:
    """Go through a calibration as fast as it computes; return its name."""
    calibrations = make_calibrations(folder)
    with staged(None) as stage:
        live: LiveCalibration = calibrations.begin(stage.session, PERSON, PLAN)
        Wearer(stage, live).until_judged()
        stage.close()
        calibrations.close()
    return live.record.id


def _delays(stage: Stage, seconds: float, first: int) -> NDArray[np.float64]:
    """Play noise in real time; return the delays of its predictions, ms."""
    rng = np.random.default_rng(first)
    logs = stage.session.check_open()
    before, begin = logs.prediction.next, time.monotonic()
    for number in range(round(SFREQ * seconds) // CHUNK):
        at = first + number * CHUNK
        time.sleep(max(0.0, begin + (number + 1) * CHUNK / SFREQ - time.monotonic()))
        data = rng.normal(0, 15, (CHUNK, 4)).astype(np.float32)
        stage.script.give(Chunk(data, 500 + (at + np.arange(CHUNK)) / SFREQ, at))
    time.sleep(1.0)
    found: list[PublishedPrediction] = [
        each for _, each in logs.prediction.read(before, logs.prediction.next)
    ]
    return np.array([1e3 * (each.timing.published - each.timing.received) for each in found])


class _Verdicts:
    """Verdicts on one sitting, one after the other, each in a process as the service starts it."""

    def __init__(self, people: Path, name: str) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self._people, self._name, self._going = people, name, True
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        """End after the verdict that is being computed."""
        self._going = False
        self.thread.join()

    def _run(self) -> None:
        while self._going or not self.wall:
            process: subprocess.Popen[bytes] = start_judge(
                self._people, PERSON, self._name, "judge"
            )
            time.sleep(START)  # the service starts it before the last block
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            begin, ready = time.monotonic(), _cpu_of(process.pid)
            if not isinstance(ask_judge(process), Judgement):
                raise TypeError("Expected a verdict, but found none.")
            self.wall.append(time.monotonic() - begin)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            total = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
            self.cpu.append(total - ready)


def _cpu_of(pid: int) -> float:
    """Return the CPU time of a process so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

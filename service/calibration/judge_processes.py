"""Processes that judge calibrations: one each, started before the last rating is given.

To start Python and load its libraries takes longer than to judge. So a process is started in
advance, and waits until the calibration has ended.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.runtime.cpu_affinity import use_all_cpus
from mimamba.service.calibration.judge_program import JudgeAnswer
from mimamba.service.calibration.live_calibration import LiveCalibration

log = logging.getLogger(__name__)

ANSWERS = msgspec.json.Decoder(JudgeAnswer)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""
KILLED = -9
"""Exit status of a process that was killed, on Unix."""
JUDGE_SECONDS = 120.0
"""Time that a judgement may take before it is given up; usual are 3 s."""


def start_judge(folder: Path, person: str, name: str, task: str) -> subprocess.Popen[bytes]:
    """Start a process for a task of the program that judges; it waits for a line."""
    with use_all_cpus():
        return subprocess.Popen(
            # -P: the working directory may contain a folder named mimamba.
            [
                *(sys.executable, "-P", "-m", "mimamba.service.calibration.judge_program"),
                *(str(folder), person, name, task),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **child_environment(),
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
        )


def ask_judge(process: subprocess.Popen[bytes]) -> JudgeAnswer | None:
    """Let a process judge what is on the disk now; None if it fails, or was killed."""
    try:
        output, errors = process.communicate(b"\n", timeout=JUDGE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    try:
        answer: JudgeAnswer = ANSWERS.decode(output)
    except msgspec.MsgspecError:
        if process.returncode != KILLED:
            shown = errors.decode(errors="replace")[-2000:]
            log.exception("no judgement", extra={"errors": shown})
        return None
    return answer


class _Judge:
    """A thread and a process for one calibration."""

    def __init__(
        self,
        live: LiveCalibration,
        folder: Path,
        settle: Callable[[LiveCalibration, JudgeAnswer | None], None],
    ) -> None:
        self._live, self._folder, self._settle = live, folder, settle
        self._go = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self.thread = threading.Thread(target=self._run, name=f"judge {live.record.id}")
        self.thread.start()

    def begin(self) -> None:
        """Judge now."""
        self._go.set()

    def cancel(self) -> None:
        """Judge nothing; a judgement that has begun ends without a result."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                with suppress(OSError):
                    self._process.kill()
        self._go.set()

    def _run(self) -> None:
        record = self._live.record
        with self._lock:
            if self._cancelled:
                return
            try:
                self._process = start_judge(self._folder, record.person, record.id, "judge")
            except OSError:  # too many processes, or too little memory
                log.exception("no process that judges")
        self._go.wait()
        self._live.wait()
        answer = None if self._process is None else ask_judge(self._process)
        if not self._cancelled:
            self._settle(self._live, answer)


class Judges:
    """The judges of a service's calibrations; may be used by any thread, and waits for nothing.

    Parameters
    ----------
    folder
        Folder of the people.
    settle
        Called with a calibration and its answer, None if there is none; in the judge's thread.
    """

    def __init__(
        self, folder: Path, settle: Callable[[LiveCalibration, JudgeAnswer | None], None]
    ) -> None:
        self._folder, self._settle = folder, settle
        self._lock = threading.Lock()
        self._judges: dict[LiveCalibration, _Judge] = {}
        self._closed = False

    def prepare(self, live: LiveCalibration) -> None:
        """Start the process that will judge a calibration, which ends soon."""
        with self._lock:
            if live not in self._judges and not self._closed:
                self._judges[live] = _Judge(live, self._folder, self._end)

    def begin(self, live: LiveCalibration) -> None:
        """Judge a calibration that has ended."""
        self.prepare(live)
        with self._lock:
            if live in self._judges:
                self._judges[live].begin()

    def cancel(self, live: LiveCalibration) -> None:
        """Judge a calibration not yet, as it was stopped."""
        with self._lock:
            if judge := self._judges.pop(live, None):
                judge.cancel()

    def close(self) -> None:
        """End all processes; what is not judged then is judged when it is resumed."""
        with self._lock:
            self._closed = True
            judges = [*self._judges.values()]
        for judge in judges:
            judge.cancel()
        for judge in judges:
            judge.thread.join()

    def _end(self, live: LiveCalibration, answer: JudgeAnswer | None) -> None:
        try:
            self._settle(live, answer)
        finally:
            with self._lock:
                self._judges.pop(live, None)

"""A person who follows a calibration in a scripted session, as fast as it computes.

``python -m tests.service.calibration.wearer FOLDER BLOCK`` begins one, and prints the block's
number in its midst; then it waits to be killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mimamba.drivers.driver import Chunk, Samples
from mimamba.service.calibration.calibrations import Calibrations
from mimamba.service.calibration.live_calibration import LiveCalibration
from mimamba.service.calibration.plan import CalibrationPlan, complete_plan
from mimamba.service.people.people import People
from tests.service.scripted import Stage, staged

PLAN = complete_plan(
    CalibrationPlan(contrast="calm-strained", pairs=4, seconds=10, rest=10, cue=2, pause=1)
)
PATIENCE = 60.0


def make_calibrations(folder: Path) -> Calibrations:
    return Calibrations(People(folder / "people"), folder / "people")


class Wearer:
    """A person whose alpha is stronger by ``gain`` while calm, and who rates clearly."""

    def __init__(self, stage: Stage, live: LiveCalibration, gain: float = 3.0, seed: int = 0):
        self.stage, self.live, self.gain = stage, live, gain
        self.sent = 0
        self.data: list[Samples] = []
        self._rng = np.random.default_rng(seed)

    def second(self) -> None:
        """Live on for a second."""
        progress = self.live.progress
        calm = progress.phase == "block" and progress.kind == "calm"
        at = np.arange(self.sent, self.sent + 256)
        data = self._rng.normal(0, 15, (256, 4))
        alpha = 6.0 * (self.gain if calm else 1.0) * np.sin(2 * np.pi * 10 * at / 256)
        samples: Samples = (data + alpha[:, np.newaxis]).astype(np.float32)
        self.data.append(samples)
        self.stage.play(Chunk(samples, 500 + at / 256, self.sent))
        self.sent += 256

    def until(self, condition: Callable[[], bool]) -> None:
        """Live on, and rate each block, until something is so."""
        for _ in range(1000):
            if condition():
                return
            progress = self.live.progress
            if progress.rating_due:
                with self.stage.loop.held():
                    self.live.rate(50.0, 80.0 if progress.kind == "strained" else 20.0, None)
            else:
                self.second()
        raise AssertionError("it did not come true")

    def until_judged(self) -> None:
        """Go through the rest of the calibration, and wait for the verdict."""
        self.until(lambda: self.live.machine.over)
        end = time.monotonic() + PATIENCE
        while self.live.progress.phase == "judging":
            assert time.monotonic() < end
            time.sleep(0.02)


def main(folder: str, block: str) -> None:
    with staged(None) as stage:
        calibrations = make_calibrations(Path(folder))
        live = calibrations.begin(stage.session, "P01", PLAN)
        wearer = Wearer(stage, live)
        wearer.until(
            lambda: (
                live.progress.phase == "block"
                and live.progress.block == int(block)
                and (live.progress.left or 0) < 6
            )
        )
        # It lives faster than a disk writes: what is shown is to be what a kill leaves.
        end = time.monotonic() + PATIENCE
        while calibrations.sittings.get("P01", live.record.id).state != live.record.state:
            assert time.monotonic() < end
            time.sleep(0.02)
        sys.stdout.write(f"{live.record.id} {live.machine.drawn.sha256}\n")
        sys.stdout.flush()
        time.sleep(PATIENCE)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Time of the report on a long recording, from the command line and from the page.

The recording is one of the service: four channels at 256 Hz of a simulated person, with the
predictions of ``demo``, bands, quality, and a marker and a rating now and then. The command is
timed from its start to its end, as a new process, so the loading of libraries counts. The page's
first report is one of a service that has made none yet.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.runtime.child_environment import child_environment
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import load_checkpoint
from mimamba.models.training_jobs.demo import simulate_chunks
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.service_process import start_service
from mimamba.service.engine.engine import Engine
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.service.scripted import staged

LIMIT = 5.0
"""Seconds for the report on an hour."""
RUNS = 3
PART = 200.0
"""Seconds of signal after which the recorder is waited for; the logs hold 300."""
STEPS, RATINGS = 8, 32
"""Chunks of 16 s from one step of a study to the next, and from one rating to the next."""
BYTES_A_SAMPLE = 4 * 4
COMMAND = "import sys; from mimamba.service.cli.main import main; main()"


def measure(hours: float) -> list[Figure]:
    """Make a recording of this length, and time its report; each figure is the slowest run."""
    with TemporaryDirectory() as folder:
        path = write_recording(Path(folder) / "long.xdf", 3600 * hours)
        runs = [_run_command(path) for _ in range(RUNS)]
        first, *later = _open_on_page(path)
        size = path.stat().st_size / 1e6
    named = f"report on {hours:g} h, {size:.0f} MB"
    return [
        at_most(f"{named}, command", max(wall for wall, _ in runs), "s", LIMIT * max(1, hours)),
        Figure(f"{named}, CPU time of the command", max(cpu for _, cpu in runs), "s"),
        at_most(f"{named}, first on the page", first, "s", LIMIT * max(1, hours)),
        at_most(f"{named}, later on the page", max(later), "s", LIMIT * max(1, hours)),
    ]


def write_recording(path: Path, seconds: float) -> Path:
    """Record a simulated person, as fast as this machine predicts."""

    def is_written(samples: int) -> bool:
        return path.stat().st_size > BYTES_A_SAMPLE * samples

    with staged(Engine(load_checkpoint("demo")), max_wait=3600.0) as stage:
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        synthesis = Synthesizer("tour", 1)
        while synthesis.position < seconds * synthesis.sfreq:
            left = seconds - synthesis.position / synthesis.sfreq
            stage.play(*_marked(simulate_chunks(synthesis, min(PART, left))))
            stage.until(partial(is_written, synthesis.position))
        recorder.stop()
    save_sidecar(path, Sidecar(path.stem, "finished", person="P01", model="demo"))
    return path


def _marked(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Give chunks the markers of a study's steps and of ratings, at their first samples."""
    for chunk in chunks:
        number, at = chunk.first // 4096, (float(chunk.timestamps[0]), chunk.first)
        markers = []
        if number % STEPS == 0:
            markers.append(Marker(*at, f"step {number // STEPS % 4 + 1}", "study"))
        if number % RATINGS == 0:
            label = f"rating valence {number % 101} arousal {(7 * number) % 101}"
            markers.append(Marker(*at, label, "rating"))
        yield replace(chunk, markers=tuple(markers))


def _run_command(path: Path) -> tuple[float, float]:
    """Return the seconds that ``mimamba report`` takes, and those of CPU time."""
    out = path.with_suffix(".html")
    arguments = ["report", path.stem, "--data-dir", f"{path.parent}", "--out", f"{out}", "--force"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = _seconds(
        lambda: subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            env=child_environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "<svg" in out.read_text()
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _open_on_page(path: Path) -> list[float]:
    """Return the seconds of each of the page's views of the report, from one service."""
    with start_service(data_dir=str(path.parent)) as starting:
        url = f"{starting.wait_until_ready().url}v1/recordings/{path.stem}/report?view=true"

        def get() -> None:
            answer = httpx.get(url, timeout=60)
            assert answer.status_code == 200
            assert "<svg" in answer.text

        return [_seconds(get) for _ in range(RUNS)]


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start

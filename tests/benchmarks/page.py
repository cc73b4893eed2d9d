"""The page over minutes: frames, memory, first paint, size.

``python -m tests.benchmarks.page [--minutes N] [--show SECONDS] [--filter]``: eight channels at 256
Hz, replayed by a service in a process of its own, in a headless Chromium on this machine. The page
is the one that was built last, in service/dist.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import CDPSession, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.formats.edf.writer import write_edf
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.simulator.synthesis import Synthesis
from mimamba.service.bench.machine import describe_machine
from mimamba.service.bench.service_process import served
from mimamba.service.http.page import find_page
from tests.browser import find_browser

SFREQ = 256
CH_NAMES = ("TP9", "AF7", "AF8", "TP10", "Fp1", "Fp2", "O1", "O2")
SETTLING = 60.0
"""Seconds after which the heap should grow no more: the rings are there from the start."""
MARGIN = 60.0
"""Seconds by which the recording is longer than what is measured."""
HEAP = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
COUNT_FRAMES = """() => {
  window.frames_drawn = 0;
  const count = () => { window.frames_drawn += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}"""


def write_eight(path: Path, seconds: float) -> Path:
    """Eight channels of two simulated people, as EDF+."""
    n_times = round(SFREQ * seconds)
    data = np.hstack([Synthesis("tour", seed).next(n_times) for seed in (1, 2)])
    index = np.arange(n_times, dtype=np.int64)
    info = StreamInfo(path.name, str(path), float(SFREQ), CH_NAMES, live=False)
    write_edf(Recording(info, data, index / SFREQ, index), path)
    return path


class Watch:
    """What a browser tells of a page, between two looks."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self._page, self._cdp = page, cdp
        self._last = self._read()

    def look(self) -> tuple[float, float]:
        """Frames a second, and the main thread's share of a core, since the last look."""
        before, self._last = self._last, self._read()
        seconds, frames, busy = (b - a for a, b in zip(before, self._last, strict=True))
        return frames / seconds, busy / seconds

    def heap(self) -> float:
        """MB in use after a collection: the script's objects, the DOM's, and the typed arrays."""
        self._cdp.send("HeapProfiler.collectGarbage")
        usage = self._cdp.send("Runtime.getHeapUsage")
        return sum(float(usage.get(part, 0)) for part in HEAP) / 1e6

    def _read(self) -> tuple[float, float, float]:
        frames = float(self._page.evaluate("window.frames_drawn"))
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        busy = next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")
        return time.monotonic(), frames, busy


def measure(url: str, seconds: float, show: int, filtering: bool) -> dict[str, float | int | str]:
    """Watch one session's page for that long, and the seconds before in which it settles."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_function(
            "() => performance.getEntriesByName('first-contentful-paint').length"
        )
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        page.get_by_test_id("seconds").select_option(f"{show} s")
        page.get_by_test_id("filter").select_option(index=int(filtering))
        page.evaluate(COUNT_FRAMES)
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        settling = min(SETTLING, seconds / 2)
        page.wait_for_timeout(1000 * settling)
        watch = Watch(page, cdp)
        before = watch.heap()
        looks = [step(page, watch) for _ in range(max(1, round((seconds - settling) / 10)))]
        after = watch.heap()
        browser.close()
    frames, busy = np.array(looks).T
    return {
        "frames a second, mean": round(float(frames.mean()), 1),
        "least over 10 s": round(float(frames.min()), 1),
        "main thread, % of a core": round(100 * float(busy.mean())),
        f"heap after {settling:g} s, MB": round(before, 2),
        f"heap after {seconds:g} s, MB": round(after, 2),
        "growth, MB": round(after - before, 2),
        "first paint, ms": round(float(paint)),
        "built JS and CSS, kB gzip": round(built() / 1000, 1),
    }


def step(page: Page, watch: Watch) -> tuple[float, float]:
    """Ten seconds more."""
    page.wait_for_timeout(10_000)
    return watch.look()


def built() -> int:
    """Bytes of the built scripts and styles, each as a server would compress it."""
    folder = find_page()
    assert folder is not None, "build the page first: npm run build in dashboard/"
    parts = [each for each in folder.rglob("*") if each.suffix in {".js", ".css"}]
    return sum(len(gzip.compress(each.read_bytes())) for each in parts)


def main() -> None:
    """Measure and print the table."""
    asks = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    asks.add_argument("--minutes", type=float, default=10.0)
    asks.add_argument("--show", type=int, choices=[4, 8, 16, 32], default=8)
    asks.add_argument("--filter", action="store_true", help="with the display filter")
    asked = asks.parse_args()
    seconds = 60 * asked.minutes
    with TemporaryDirectory() as folder:
        path = write_eight(Path(folder) / "eight.edf", seconds + MARGIN)
        with served(f"replay://{path}", model="demo") as service:
            found = measure(service.url, seconds, asked.show, asked.filter)
    title = f"The page: 8 channels at {SFREQ} Hz, {asked.show} s shown, {asked.minutes:g} min"
    table = Table("figure", "", title=title, caption=describe_machine())
    for figure, value in found.items():
        table.add_row(figure, str(value))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()

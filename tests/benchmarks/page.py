"""The page over minutes: frames a second, memory, first paint, size.

A service in its own process replays eight channels at 256 Hz to a headless Chromium on this
machine. The page is the one that was built last.
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import CDPSession, Page, sync_playwright

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.formats.edf.writer import write_edf
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.service.bench.figures import Figure, at_most
from mimamba.service.bench.service_process import running_service
from mimamba.service.http.page import find_page
from tests.browser import find_browser

SFREQ = 256
CH_NAMES = ("TP9", "AF7", "AF8", "TP10", "Fp1", "Fp2", "O1", "O2")
SETTLING = 60.0
"""Seconds after which the heap should stop growing; the ring buffers exist from the start."""
MARGIN = 60.0
"""Seconds by which the recording is longer than the measurement."""
HEAP = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
COUNT_FRAMES = """() => {
  window.frames_drawn = 0;
  const count = () => { window.frames_drawn += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}"""


def write_eight(path: Path, seconds: float) -> Path:
    """Write eight channels of two simulated people as EDF+."""
    n_times = round(SFREQ * seconds)
    data = np.hstack([Synthesizer("tour", seed).next(n_times) for seed in (1, 2)])
    index = np.arange(n_times, dtype=np.int64)
    info = StreamInfo(path.name, str(path), float(SFREQ), CH_NAMES, live=False)
    write_edf(Recording(info, data, index / SFREQ, index), path)
    return path


class PageMetrics:
    """Frames, CPU time and memory of a page, as the browser reports them."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self._page, self._cdp = page, cdp
        self._last = self._read()

    def since_last(self) -> tuple[float, float]:
        """Return frames a second and the main thread's share of a core since the last call."""
        before, self._last = self._last, self._read()
        seconds, frames, busy = (b - a for a, b in zip(before, self._last, strict=True))
        return frames / seconds, busy / seconds

    def heap(self) -> float:
        """Return the memory of scripts, DOM and typed arrays after a garbage collection, MB."""
        self._cdp.send("HeapProfiler.collectGarbage")
        usage = self._cdp.send("Runtime.getHeapUsage")
        return sum(float(usage.get(part, 0)) for part in HEAP) / 1e6

    def _read(self) -> tuple[float, float, float]:
        frames = float(self._page.evaluate("window.frames_drawn"))
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        busy = next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")
        return time.monotonic(), frames, busy


def measure(seconds: float, show: int = 8, display_filter: bool = False) -> list[Figure]:
    """Measure the page for this long.

    Parameters
    ----------
    seconds
        Duration, s; the first minute, or the first half of a shorter run, is not counted.
    show
        Seconds of signal on the page: 4, 8, 16 or 32.
    display_filter
        Turn the page's filter on.
    """
    with TemporaryDirectory() as folder:
        path = write_eight(Path(folder) / "eight.edf", seconds + MARGIN)
        with running_service(f"replay://{path}", model="demo") as service:
            return measure_page(service.url, seconds, show, display_filter)


def measure_page(url: str, seconds: float, show: int, display_filter: bool) -> list[Figure]:
    """Open one session's page, and measure it."""
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
        page.get_by_test_id("acknowledge").click()  # else no predictions are drawn
        page.get_by_test_id("seconds").select_option(f"{show} s")
        page.get_by_test_id("filter").select_option(index=int(display_filter))
        page.evaluate(COUNT_FRAMES)
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        settling = min(SETTLING, seconds / 2)
        page.wait_for_timeout(1000 * settling)
        metrics = PageMetrics(page, cdp)
        before = metrics.heap()
        parts = []
        for _ in range(max(1, round((seconds - settling) / 10))):
            page.wait_for_timeout(10_000)
            parts.append(metrics.since_last())
        after = metrics.heap()
        browser.close()
    frames, busy = np.array(parts).T
    least = float(frames.min())
    return [
        Figure("frames a second, mean", float(frames.mean()), ""),
        Figure("frames a second, least in 10 s", least, "", ">= 50", least >= 50),
        Figure("main thread", 100 * float(busy.mean()), "% of a core"),
        Figure(f"memory after {settling:g} s", before, "MB"),
        at_most(f"growth of memory until {seconds:g} s", after - before, "MB", 10),
        at_most("first paint", float(paint) / 1000, "s", 1),
        at_most("JS and CSS, gzip", built() / 1000, "kB", 250),
    ]


def built() -> int:
    """Return the bytes of the built scripts and styles, each compressed as a server does."""
    folder = find_page()
    assert folder is not None, "build the page first: npm run build in dashboard/"
    parts = [each for each in folder.rglob("*") if each.suffix in {".js", ".css"}]
    return sum(len(gzip.compress(each.read_bytes())) for each in parts)

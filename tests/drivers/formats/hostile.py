"""A process that reads hostile files: ``python -m tests.drivers.formats.hostile WHOLE``.

It reads the whole file, which pays the imports, says so, and limits its memory. Then it reads each
file whose path comes by a line, and answers with a line of JSON: what went wrong, if anything.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from mimamba.drivers.errors import DriverError
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording

MEMORY = 500 * 2**20
"""Bytes more than after the imports."""
SECONDS = 2.0
"""Of the processor's time per file."""


def main() -> None:
    """Read until there are no more lines."""
    whole = read_recording(sys.argv[1])
    _answer({})
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for line in sys.stdin:
        path, only_cut = json.loads(line)
        start = time.process_time()
        try:
            wrong, how = _judge(path, whole if only_cut else None)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test looks for it
            wrong, how = "".join(traceback.format_exception(error)), "crash"
        seconds = time.process_time() - start
        if seconds > SECONDS and wrong is None:
            wrong = f"took {seconds:.1f} s"
        _answer({"wrong": wrong, "how": how})


def _judge(path: str, whole: Recording | None) -> tuple[str | None, str]:
    """What is wrong with how a file is read; and whether it was read or refused."""
    try:
        made = read_recording(path)
        n_chunks = sum(1 for _ in made.chunks(64))
    except DriverError as error:
        text = str(error)
        one_line = text.isprintable() and len(text) < 5000
        return None if one_line else f"not one line: {text}", "refused"
    if n_chunks == 0:
        return "no chunks", "read"
    return _fault(made) or (whole and _difference(made, whole)) or None, "read"


def _fault(made: Recording) -> str | None:
    """What a recording may never be."""
    n_times, n_channels = made.data.shape
    if made.data.dtype != np.float32 or not np.isfinite(made.data).all():
        return "samples that are no finite float32"
    if n_channels != made.info.n_channels or n_times != len(made.index) != len(made.timestamps):
        return "shapes that differ"
    if made.index[0] < 0 or (np.diff(made.index) < 1).any():
        return "an index that does not grow"
    if not np.isfinite(made.timestamps).all() or (np.diff(made.timestamps) <= 0).any():
        return "timestamps that do not grow"
    if not (np.isfinite(made.info.sfreq) and made.info.sfreq > 0):
        return f"a rate of {made.info.sfreq}"
    if any(not 0 <= marker.index <= made.index[-1] for marker in made.markers):
        return "a marker outside"
    if not all(text.isprintable() for text in (*made.info.notices, *made.info.ch_names)):
        return "a notice or a name that cannot be printed"
    return None


def _difference(made: Recording, whole: Recording) -> str | None:
    """What makes it no prefix of the whole."""
    n_times = made.n_times
    same = n_times <= whole.n_times and made.info.ch_names == whole.info.ch_names
    if not (same and np.array_equal(made.data, whole.data[:n_times])):
        return "no prefix of the whole recording"
    return None if np.array_equal(made.index, whole.index[:n_times]) else "another index"


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

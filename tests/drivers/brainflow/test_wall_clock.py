"""A computer's clock that is set while BrainFlow runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
/* The computer's clock, one hour ahead as soon as a file is there. */
int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (which == CLOCK_REALTIME && access(getenv("CLOCK_AHEAD"), F_OK) == 0) now->tv_sec += 3600;
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
"""

PROGRAM = """
import json, os, sys
from pathlib import Path
from mimamba.drivers.open import open_source
from mimamba.drivers.timing.clock import local_clock
changes, ahead, gaps, end, n_times = [], 0.0, 0, 0, 0
with open_source("brainflow://synthetic", lambda change: changes.append(change.state)) as driver:
    for chunk in driver:
        gaps += chunk.first != end
        end, n_times = chunk.end, n_times + chunk.n_times
        ahead = max(ahead, chunk.timestamps[-1] - local_clock())
        if n_times > 300:
            Path(os.environ["CLOCK_AHEAD"]).touch()
        if n_times > 1200:
            break
print(json.dumps({"changes": changes, "ahead": ahead, "gaps": gaps}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the clock is replaced by ld.so")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_an_hour_ahead_is_one_event(tmp_path: Path) -> None:
    pytest.importorskip("brainflow")
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    settings = [f"LD_PRELOAD={library}", f"CLOCK_AHEAD={tmp_path / 'ahead'}"]
    done = subprocess.run(
        ["env", *settings, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["changes"] == ["connected", "lost", "retrying", "connected"]
    assert told["gaps"] == 1
    assert told["ahead"] < 1.0

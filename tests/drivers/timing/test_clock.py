from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mimamba.drivers.timing.clock import local_clock


def test_it_is_the_clock_of_lsl() -> None:
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"liblsl does not load here: {error}")
    before = pylsl.local_clock()
    now = local_clock()
    assert isinstance(now, float)
    assert before <= now <= pylsl.local_clock()


def test_it_never_goes_back() -> None:
    seen = [local_clock() for _ in range(1000)]
    assert seen == sorted(seen)


def test_it_counts_seconds() -> None:
    before, reference = local_clock(), time.perf_counter()
    time.sleep(0.2)
    passed = time.perf_counter() - reference
    after = local_clock()
    assert after - before >= 0.9 * 0.2
    assert passed <= 1.1 * (after - before)


def test_it_stands_in_where_the_library_does_not_load() -> None:
    code = (
        "import sys, time\n"
        "sys.modules['pylsl'] = None\n"  # importing it raises ImportError
        "from mimamba.drivers.timing import clock\n"
        "assert clock._clock is time.perf_counter\n"
        "assert clock.local_clock() > 0.0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""Each in a process of its own, as what is tested lasts as long as a process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mimamba.drivers.runtime.cpu_affinity import choose_cpu

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there are not two processors to choose among, as far as the system tells",
)
PRELUDE = """
import os, subprocess, sys, threading
from contextlib import ExitStack
from mimamba.drivers.runtime.cpu_affinity import pin_to_one_cpu, use_all_cpus

stack = ExitStack()
whole, over = os.sched_getaffinity(0), threading.Event()
def of_threads():
    return {frozenset(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
def of_a_process():
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
def start():
    threading.Thread(target=over.wait).start()
start()
"""


def run(body: str) -> None:
    """Run a body after the prelude; its assertions are ours."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{PRELUDE}\ntry:\n{body}\nfinally:\n    over.set()"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr


def test_all_threads_keep_to_one_and_those_to_come() -> None:
    run("""
    stack.enter_context(pin_to_one_cpu())
    kept, = of_threads()
    assert len(kept) == 1 and kept < whole
    start()
    assert of_threads() == {kept}
    """)


def test_the_cpu_is_one_to_which_few_are_pinned() -> None:
    assert choose_cpu({0, 1, 2}, {}, last=1) == 1
    assert choose_cpu({0, 1, 2}, {1: 1, 2: 2}, last=1) == 0
    assert choose_cpu({1, 2}, {0: 0, 1: 3, 2: 3}, last=2) == 2
    run("""
    from mimamba.drivers.runtime.cpu_affinity import count_pinned
    stack.enter_context(pin_to_one_cpu())
    (kept,), = of_threads()
    assert count_pinned()[kept] >= 1
    """)


def test_a_lock_that_is_held_or_that_there_is_not_keeps_none_from_one_cpu(tmp_path: Path) -> None:
    run(f"""
    import fcntl
    from pathlib import Path
    turns = Path({str(tmp_path)!r}) / "turns"
    with pin_to_one_cpu(turns):
        assert len(*of_threads()) == 1
    with turns.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pin_to_one_cpu(turns):
            assert len(*of_threads()) == 1
    """)


def test_a_process_that_is_started_has_them_all() -> None:
    run("""
    stack.enter_context(pin_to_one_cpu())
    with use_all_cpus():
        assert of_a_process().strip() == str(sorted(whole))
    kept, = of_threads()
    assert len(kept) == 1
    """)


def test_what_was_ruled_out_before_stays_so() -> None:
    run("""
    one = {max(whole)}
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), one)
    stack.enter_context(pin_to_one_cpu())
    assert of_threads() == {frozenset(one)}
    with use_all_cpus():
        assert of_a_process().strip() == str(sorted(one))
    """)


def test_what_was_a_service_has_them_all_again() -> None:
    run("""
    with pin_to_one_cpu():
        start()
    assert of_threads() == {frozenset(whole)}
    """)


def test_a_process_that_does_more_than_serve_is_left_alone() -> None:
    run("""
    with use_all_cpus():
        assert of_threads() == {frozenset(whole)}
    """)

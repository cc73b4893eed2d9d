"""Processes that make heads again from ratings: one at a time for each head."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mimamba.service.calibration.judge_processes import ask_judge, start_judge
from mimamba.service.calibration.judge_program import JudgeAnswer
from mimamba.service.sessions.session import Session

Settle = Callable[[Session, str, str, JudgeAnswer | None], None]
"""Called with the session, the person and the head, and the answer, in a thread of its own."""


class Refits:
    """The refits of a service; may be used by any thread, and waits for nothing but its end.

    Parameters
    ----------
    folder
        Folder of the people.
    settle
        Takes each answer, None if there is none.
    """

    def __init__(self, folder: Path, settle: Settle) -> None:
        self._folder, self._settle = folder, settle
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], threading.Thread] = {}
        self._processes: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._closed = False

    def begin(self, session: Session, person: str, head: str) -> None:
        """Make a head again, unless that goes on already."""
        key = person, head
        with self._lock:
            if self._closed or key in self._running:
                return
            thread = threading.Thread(
                target=self._run, args=(session, person, head), name=f"refit {head}"
            )
            self._running[key] = thread
            thread.start()

    def wait(self) -> None:
        """Wait until none goes on."""
        for thread in [*self._running.values()]:
            thread.join()

    def close(self) -> None:
        """End all processes; ratings are kept, and the next one begins a refit again."""
        with self._lock:
            self._closed = True
            for process in self._processes.values():
                with suppress(OSError):
                    process.kill()
        self.wait()

    def _run(self, session: Session, person: str, head: str) -> None:
        key = person, head
        try:
            with self._lock:
                if self._closed:
                    return
                process = self._processes[key] = start_judge(self._folder, person, head, "refit")
            answer = ask_judge(process)
            if not self._closed:
                self._settle(session, person, head, answer)
        finally:
            with self._lock:
                self._processes.pop(key, None)
                self._running.pop(key, None)

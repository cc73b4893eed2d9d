"""LSL outlets in processes of their own: they can be stopped as a stalled network stops them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self
from uuid import uuid4

PROGRAM = """
import sys, time
from pylsl import StreamInfo, StreamOutlet, local_clock
name, kind, declared, rate, n, sid, stamp = sys.argv[1:8]
declared, rate, n = float(declared), float(rate), int(n)
info = StreamInfo(name, kind, n, declared, "float32", sid)
channels = info.desc().append_child("channels")
for label in ("TP9", "AF7", "AF8", "TP10")[:n]:
    channel = channels.append_child("channel")
    for key, value in (("label", label), ("unit", "microvolts"), ("type", "EEG")):
        channel.append_child_value(key, value)
outlet = StreamOutlet(info)
start, k = local_clock(), 0
print("there", flush=True)
while True:
    t = local_clock()
    while start + k / rate <= t:
        at = start + k / rate
        outlet.push_sample([float(k)] * n, eval(stamp, {"at": at, "k": k, "start": start}))
        k += 1
    time.sleep(0.004)
"""


class RealTimeSender:
    """A process that sends its samples' numbers in real time.

    Parameters
    ----------
    rate
        True rate, Hz.
    declared
        Declared rate, Hz; the true one by default.
    stamp
        Expression for a sample's stamp, of its true time ``at``, its number ``k`` and ``start``.
    """

    def __init__(
        self,
        rate: float = 250.0,
        declared: float | None = None,
        stamp: str = "at",
        kind: str = "EEG",
        n_channels: int = 4,
        name: str | None = None,
        source_id: str | None = None,
    ) -> None:
        self.name = name or f"sender {uuid4()}"
        self.source_id = source_id or str(uuid4())
        facts = (self.name, kind, rate if declared is None else declared, rate, n_channels)
        command = [sys.executable, "-c", PROGRAM, *map(str, facts), self.source_id, stamp]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))

    @property
    def url(self) -> str:
        return f"lsl://?source_id={self.source_id}&timeout=60"

    def stop(self) -> None:
        """Stop it, as if its network stalled: its connection stays."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it send what it could not."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"there\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

"""A lock: of the threads that serve streams, only one computes at a time.

NumPy releases the interpreter's lock in each operation on more than about 500 values, and needs it
back microseconds later. With dozens of threads, each such operation waits for all of them: hops of
48 simulated headsets waited 378 ms (median) while the two cores were half idle, and 82 ms with
this lock. On one core (``cpu_affinity.py``), 64 headsets have 0 to 50 % of their hops within 100 ms
without it.
"""

from __future__ import annotations

import threading

COMPUTE_LOCK = threading.Lock()
"""Held while a thread computes on a chunk. A thread that holds it neither waits for anything nor
acquires a lock that a waiting thread could hold."""

"""Whose turn it is to compute, of all the threads that serve streams: one's at a time.

NumPy lets go of the interpreter's lock in each operation on more than some 500 values, and wants it
back microseconds later. Where dozens of threads want that lock, each such operation waits for all
of them: hops of 48 simulated headsets waited 378 ms (p50) while the two cores were half idle, and
82 ms with turns. On one core (``processors.py``) 64 have 0 to 50 % of their hops within 100 ms
without turns.
"""

from __future__ import annotations

import threading

TURN = threading.Lock()
"""Held while a thread computes on a chunk; nothing is waited for meanwhile, and no lock is taken
that is held by whoever waits for a turn."""

"""OpenBLAS, by which NumPy and SciPy multiply matrices: without threads of its own in a service.

They would wait for each other by spinning. With 64 simulated headsets opened at once, the dot
products of their filters alone took both processors for 20 s; without them all takes 0.7 s.
"""

from __future__ import annotations

import os


def start_no_threads() -> None:
    """For this process and those it starts, before NumPy is imported; the environment's word holds.

    Training and evaluation keep theirs: one large product at a time gains by them.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

"""OpenBLAS, by which NumPy and SciPy multiply matrices: without threads of its own in a service.

They wait for each other by spinning. With 64 simulated headsets opened at once, the dot products of
their filters alone took both processors for 20 s; without such threads all takes 0.7 s. Training
and evaluation keep theirs: one large product at a time gains by them.
"""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits


def stay_single() -> None:
    """For this process and those that it starts."""
    threadpool_limits(1, user_api="blas")  # what is loaded, as NumPy's is
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # what is not yet, as SciPy's may be

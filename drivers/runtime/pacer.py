"""A thread that lets all simulated headsets of the process send their samples.

A thread for each of them woke up 21 times a second, which cost three times as much as the samples.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mimamba.drivers.runtime.compute_lock import COMPUTE_LOCK
from mimamba.drivers.timing.clock import local_clock

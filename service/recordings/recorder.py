"""Recorder: reads a session's logs and writes them to an XDF file.

It keeps one position per topic and appends new entries twice a second, so a slow disk affects the
recording only. Each time it writes events before the signal, and the signal before its results:
wherever the file is cut off, the rest is consistent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.xdf.chunk_writer import FilePosition, XDFWriter
from mimamba.service.protocol.feedback_state import FeedbackEntry

"""The logs of one epoch of a session: everything that its readers can be sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from mimamba.drivers.driver import AuxiliaryChunk, Chunk, Marker, Playback, StreamInfo
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.body.heart_rate import HeartRate
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.models.signal.sliding_window import QUARTER_RATE
from mimamba.service.protocol.feedback_state import FeedbackEntry

"""Rules that hold for a stream on the network and for one in an XDF file: EEG, markers, labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mimamba.drivers.channels import OTHER_TYPES

EEG_TYPE = "eeg"
"""Type of EEG streams, in any case."""
_MARKER_TYPE = re.compile(r"(?i)mark(er)?s?|trig|stim|event|annotation|code")
"""Part of a type that says that a stream consists of markers."""


def is_eeg_type(kind: str) -> bool:
    """Return True for a stream's type ``EEG``, in any case."""
    return kind.strip().lower() == EEG_TYPE


def is_marker_type(kind: str) -> bool:
    """Return True for a type such as ``Markers``, ``marker``, ``Trigger`` or ``stim``."""
    return _MARKER_TYPE.search(kind) is not None


def is_marker_stream(kind: str, sfreq: float, n_channels: int, is_text: bool) -> bool:
    """Return True if a stream consists of markers.

    Text always does. Numbers do if they have no rate, and either a type that says so, or a single
    channel whose type is not that of a signal.

    Parameters
    ----------
    kind
        Declared type, e.g. ``Markers``.
    sfreq
        Declared rate, Hz; 0 for an irregular stream.
    n_channels
        Number of channels.
    is_text
        True if the values are text.
    """
    if is_text:
        return True
    if sfreq != 0:
        return False
    signal = is_eeg_type(kind) or kind.strip().upper() in OTHER_TYPES
    return is_marker_type(kind) or (n_channels == 1 and not signal)


def marker_label(values: Sequence[Any]) -> str:
    """Return the label of a marker: several channels are joined by ``; ``, and 7.0 is ``7``."""
    return "; ".join(_value_text(value) for value in values)


def _value_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:g}"
    return str(value)

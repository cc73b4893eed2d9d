"""Channel labels and units from an LSL stream's description."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from mimamba.drivers.units import microvolts_per


@dataclass(frozen=True)
class ChannelDescription:
    """Label and factor to µV of each channel, and notices about what had to be assumed."""

    labels: tuple[str, ...]
    factors: tuple[float, ...]
    notices: tuple[str, ...]


def read_description(xml: str, n_channels: int) -> ChannelDescription:
    """Read ``desc/channels/channel`` with its ``label`` and ``unit`` (XDF's EEG meta-data).

    Labels that are missing, empty or repeated are replaced by the channels' numbers. Values without
    a unit of voltage are treated as µV. A notice says so.
    """
    channels = ET.fromstring(xml).findall("desc/channels/channel")
    labels, named = _labels([_text(channel, "label") for channel in channels], n_channels)
    units = [_text(channel, "unit") for channel in channels]
    if len(units) != n_channels:
        units = [""] * n_channels
    factors = [microvolts_per(unit) for unit in units]
    notices: tuple[str, ...] = ()
    if not named:
        notices += ("The stream has no channel labels; the channels are numbered.",)
    assumed = sorted({unit for unit, factor in zip(units, factors, strict=True) if not factor})
    if assumed:
        what = ", ".join(repr(unit) for unit in assumed if unit)
        unit = f"The stream's unit {what} is not a voltage" if what else "The stream has no unit"
        notices += (f"{unit}; its values are treated as µV.",)
    return ChannelDescription(labels, tuple(factor or 1.0 for factor in factors), notices)


def _labels(labels: Sequence[str], n_channels: int) -> tuple[tuple[str, ...], bool]:
    """Return the labels and True if they name each channel, else numbers and False."""
    if len(labels) == n_channels and all(labels) and len(set(labels)) == n_channels:
        return tuple(labels), True
    return tuple(str(n) for n in range(1, n_channels + 1)), False


def _text(channel: ET.Element, name: str) -> str:
    return (channel.findtext(name) or "").strip()

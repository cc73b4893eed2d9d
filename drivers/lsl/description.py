"""What an LSL stream's description says of its channels: labels and units."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from mimamba.drivers.units import MICROVOLTS


@dataclass(frozen=True)
class ChannelDescription:
    """One label and one factor to µV per channel, and what had to be assumed."""

    labels: tuple[str, ...]
    factors: tuple[float, ...]
    notices: tuple[str, ...]


def read_description(xml: str, n_channels: int) -> ChannelDescription:
    """Read ``desc/channels/channel`` with its ``label`` and ``unit`` (XDF's EEG meta-data).

    Labels that are missing, empty or repeated become the channels' numbers; values without a unit,
    or in one that is no voltage, are taken as µV; a notice says so.
    """
    channels = ET.fromstring(xml).findall("desc/channels/channel")
    labels, named = _labels([_text(channel, "label") for channel in channels], n_channels)
    units = [_text(channel, "unit") for channel in channels]
    if len(units) != n_channels:
        units = [""] * n_channels
    factors = [MICROVOLTS.get(_plain(unit)) for unit in units]
    notices: tuple[str, ...] = ()
    if not named:
        notices += ("The stream does not label its channels; they are numbered.",)
    assumed = sorted({unit for unit, factor in zip(units, factors, strict=True) if not factor})
    if assumed:
        what = ", ".join(repr(unit) for unit in assumed if unit) or "no unit"
        notices += (f"The stream gives {what} where a voltage should be; taken as µV.",)
    return ChannelDescription(labels, tuple(factor or 1.0 for factor in factors), notices)


def _labels(labels: Sequence[str], n_channels: int) -> tuple[tuple[str, ...], bool]:
    """The labels if they name each channel, else numbers; and which of the two it is."""
    if len(labels) == n_channels and all(labels) and len(set(labels)) == n_channels:
        return tuple(labels), True
    return tuple(str(n) for n in range(1, n_channels + 1)), False


def _text(channel: ET.Element, name: str) -> str:
    return (channel.findtext(name) or "").strip()


def _plain(unit: str) -> str:
    """Lower case, with u for both characters that look like µ."""
    return unit.lower().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")

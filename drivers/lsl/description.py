"""Labels, types and units of the channels in an LSL stream's description."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mimamba.drivers.channels import DeclaredChannel, EEGChannels, eeg_notices, find_eeg
from mimamba.drivers.units import microvolts_per


@dataclass(frozen=True)
class ChannelDescription:
    """Channels of a stream.

    Parameters
    ----------
    labels
        Label of each channel, or its number if the stream does not name each of them.
    factors
        Factor to µV of each channel; 1 without a unit of voltage.
    channels
        Label, type and unit of each channel, as declared.
    eeg
        EEG among them.
    notices
        Remarks about what had to be assumed for the EEG channels.
    """

    labels: tuple[str, ...]
    factors: tuple[float, ...]
    channels: tuple[DeclaredChannel, ...]
    eeg: EEGChannels
    notices: tuple[str, ...]

    @property
    def eeg_labels(self) -> tuple[str, ...]:
        """Labels of the EEG channels, for ``ChannelChoice``; empty if there are none."""
        return tuple(self.labels[row] for row in self.eeg.rows)

    def notices_about(self, rows: Sequence[int], chosen: bool) -> tuple[str, ...]:
        """Return the remarks if these channels are used.

        ``chosen`` is True if a person chose them; what is left out is known then.
        """
        left_out = () if chosen else eeg_notices(self.eeg, self.labels)
        return _assumptions(self.labels, self.channels, rows) + left_out


def read_description(xml: str, n_channels: int) -> ChannelDescription:
    """Read ``desc/channels/channel`` with ``label``, ``type`` and ``unit`` (XDF's EEG meta-data).

    Labels that are missing, empty or repeated are replaced by the channels' numbers. Values without
    a unit of voltage are treated as µV. A notice says so.
    """
    found = ET.fromstring(xml).findall("desc/channels/channel")
    if len(found) != n_channels:
        found = [ET.Element("channel")] * n_channels
    channels = tuple(
        DeclaredChannel(_text(each, "label"), _text(each, "type"), _text(each, "unit"))
        for each in found
    )
    labels = _labels([channel.label for channel in channels])
    factors = tuple(microvolts_per(channel.unit) or 1.0 for channel in channels)
    eeg = find_eeg(
        [replace(each, label=label) for each, label in zip(channels, labels, strict=True)]
    )
    notices = _assumptions(labels, channels, eeg.rows)
    return ChannelDescription(labels, factors, channels, eeg, notices)


def _assumptions(
    labels: Sequence[str], channels: Sequence[DeclaredChannel], rows: Sequence[int]
) -> tuple[str, ...]:
    """Describe what is assumed for these channels."""
    notices: tuple[str, ...] = ()
    if any(channel.label != label for channel, label in zip(channels, labels, strict=True)):
        notices += ("The stream has no channel labels; the channels are numbered.",)
    units = {channels[row].unit for row in rows}
    assumed = sorted(unit for unit in units if not microvolts_per(unit))
    if assumed:
        what = ", ".join(repr(unit) for unit in assumed if unit)
        unit = f"The stream's unit {what} is not a voltage" if what else "The stream has no unit"
        notices += (f"{unit}; its values are treated as µV.",)
    return notices


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels if they name each channel, else numbers."""
    if all(labels) and len(set(labels)) == len(labels):
        return tuple(labels)
    return tuple(str(n) for n in range(1, len(labels) + 1))


def _text(channel: ET.Element, name: str) -> str:
    return (channel.findtext(name) or "").strip()

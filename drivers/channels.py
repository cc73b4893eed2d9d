"""Selection and naming of a source's channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mimamba.drivers.errors import BadChannels
from mimamba.drivers.url import SourceURL

HEADSET_CHANNELS = {"muse": ("TP9", "AF7", "AF8", "TP10")}
"""Electrode names of known headsets, in the headset's order, for ``names=muse``."""


@dataclass(frozen=True)
class ChannelSelection:
    """Channel numbers from 0 (``rows``) in the order asked for, and their ``names``."""

    rows: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ChannelChoice:
    """The parameters ``channels`` (names or numbers from 1) and ``names`` (labels or a headset)."""

    channels: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

    @classmethod
    def from_url(cls, source: SourceURL) -> ChannelChoice:
        """Read both parameters from a source's URL."""
        channels, names = source.text("channels"), source.text("names")
        labels = _split_commas(names)
        if names is not None and names.lower() in HEADSET_CHANNELS:
            labels = HEADSET_CHANNELS[names.lower()]
        return cls(_split_commas(channels), labels)

    def select(self, available: Sequence[str]) -> ChannelSelection:
        """Select among the source's channels; all of them if ``channels`` is not given.

        Raises
        ------
        BadChannels
            If a channel does not exist or appears twice, or there are too few or too many names.
        """
        asked = self.channels or tuple(str(n) for n in range(1, len(available) + 1))
        rows = tuple(_find_row(channel, available) for channel in asked)
        names = self.names or tuple(available[row] for row in rows)
        if len(names) != len(rows):
            raise BadChannels(
                f"as many names as channels ({len(rows)})",
                f"{len(names)}: {','.join(names)}",
                "name each channel, or select fewer with channels=",
            )
        for what, values in (("channels", [available[row] for row in rows]), ("names", names)):
            if len(set(values)) != len(values):
                raise BadChannels(f"different {what}", ",".join(values), "remove the repeats")
        return ChannelSelection(rows, names)


def _split_commas(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(","))


def _find_row(channel: str, available: Sequence[str]) -> int:
    """Find a channel by its name, in upper or lower case, or else by its number from 1."""
    names = [name.lower() for name in available]
    if channel.lower() in names:
        return names.index(channel.lower())
    if channel.isdecimal() and 1 <= int(channel) <= len(available):
        return int(channel) - 1
    raise BadChannels(
        f"channel {channel}",
        f"{len(available)} channels: {', '.join(available)}",
        "select channels by name or by number from 1",
    )

"""Which channels of a source are taken, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mimamba.drivers.errors import BadChannels
from mimamba.drivers.url import SourceURL

LAYOUTS = {"muse": ("TP9", "AF7", "AF8", "TP10")}
"""Names for a headset's four electrodes, in its order, as ``names=muse``."""


@dataclass(frozen=True)
class ChannelSelection:
    """``rows`` of the source in the order asked for, and the ``names`` they get."""

    rows: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ChannelChoice:
    """``channels=`` (names, or 1-based numbers) and ``names=`` (labels, or a layout)."""

    channels: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, source: SourceURL) -> ChannelChoice:
        """Take both parameters from a source's URL."""
        channels, names = source.text("channels"), source.text("names")
        labels = _split(names)
        if names is not None and names.lower() in LAYOUTS:
            labels = LAYOUTS[names.lower()]
        return cls(_split(channels), labels)

    def pick(self, available: Sequence[str]) -> ChannelSelection:
        """Choose among the source's channels; all of them where nothing was asked for.

        Raises
        ------
        BadChannels
            If a channel is not there, stands twice, or the labels are of another number.
        """
        asked = self.channels or tuple(str(n) for n in range(1, len(available) + 1))
        rows = tuple(_row(channel, available) for channel in asked)
        names = self.names or tuple(available[row] for row in rows)
        if len(names) != len(rows):
            raise BadChannels(
                f"as many names as channels ({len(rows)})",
                f"{len(names)}: {','.join(names)}",
                "name each channel, or choose fewer with channels=",
            )
        for what, values in (("channels", [available[row] for row in rows]), ("names", names)):
            if len(set(values)) != len(values):
                raise BadChannels(f"different {what}", ",".join(values), "take the repeats out")
        return ChannelSelection(rows, names)


def _split(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(","))


def _row(channel: str, available: Sequence[str]) -> int:
    """A channel's row by its name (in any case), else by its 1-based number."""
    names = [name.lower() for name in available]
    if channel.lower() in names:
        return names.index(channel.lower())
    if channel.isdecimal() and 1 <= int(channel) <= len(available):
        return int(channel) - 1
    raise BadChannels(
        f"channel {channel}",
        f"{len(available)} channels: {', '.join(available)}",
        "choose among them by name or by number from 1",
    )

"""Muse headsets: ``muse://`` (the first one near), ``muse://Muse-1A2B``, ``muse://?address=..``.

Muse 2016, Muse 2, Muse S and Muse S Athena, over the system's Bluetooth, on Linux, macOS and
Windows. Their electrodes are joined by the headset's own numbers, and what else they measure comes
as auxiliary samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import numpy as np

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.driver import AuxiliaryChunk, Chunk, StreamInfo
from mimamba.drivers.errors import BadSource
from mimamba.drivers.muse.headset_connection import (
    CONNECTION_TIMES,
    ConnectionTimes,
    HeadsetConnection,
)
from mimamba.drivers.muse.packets import (
    ATHENA_RANGE_UV,
    ATHENA_UV_PER_BIT,
    EEG_SENSOR,
    RANGE_UV,
    UV_PER_BIT,
)
from mimamba.drivers.muse.protocol import ELECTRODES, MUSE_NAME
from mimamba.drivers.muse.search import WantedHeadset
from mimamba.drivers.url import SourceURL

SEARCH_SECONDS = 10.0
"""Time to find the headset unless the URL says otherwise, s."""


class MuseDriver:
    """A Muse as a driver.

    Parameters
    ----------
    source
        URL. Its target is the headset's name, e.g. ``Muse-1A2B``, or empty. Parameters: ``address``
        (a UUID on macOS) instead of the name, ``timeout`` for finding it (1 to 600 s),
        ``channels`` and ``names``.
    times
        Times of the connection.

    Raises
    ------
    BadSource
        If the name is none of a Muse, or name and address are both given.
    BadChannels
        If a channel asked for does not exist.
    """

    def __init__(self, source: SourceURL, times: ConnectionTimes = CONNECTION_TIMES) -> None:
        name, address = source.target.strip("/") or None, source.text("address")
        if name is not None and not MUSE_NAME.fullmatch(name):
            raise BadSource(
                "a Muse's name, such as Muse-1A2B", name, "use muse:// for the first one near"
            )
        if address == "" or (name is not None and address is not None):
            raise BadSource(
                "a name or an address",
                f"address={address}",
                "use muse://NAME or muse://?address=..",
            )
        self._wanted = WantedHeadset(name, address)
        self._times = times
        self._seconds = source.number("timeout", SEARCH_SECONDS, 1, 600)
        picks = ChannelChoice.from_url(source).select(ELECTRODES)
        self._columns = None if picks.rows == tuple(range(len(ELECTRODES))) else list(picks.rows)
        self._info = StreamInfo(
            name="Muse",
            source_id=f"muse:{address or name or 'any'}",
            sfreq=EEG_SENSOR.sfreq,
            ch_names=picks.names,
        )
        self._connection: HeadsetConnection | None = None

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def battery(self) -> float | None:
        """Charge that the headset reported last, percent; None if it reported none."""
        return None if self._connection is None else self._connection.battery

    @property
    def has_auxiliary(self) -> bool:
        """True: every Muse measures motion."""
        return True

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return the pulse and motion measured since the last call."""
        return [] if self._connection is None else self._connection.take_auxiliary()

    def __enter__(self) -> Self:
        """Find the headset, connect, and wait for the first EEG.

        Raises
        ------
        DeviceNotFound
            If it is not near, another program uses it, it sends no EEG, or Bluetooth cannot be
            used.
        LibraryMissing
            If bleak is not installed.
        """
        connection = HeadsetConnection(self._wanted, self._seconds, self._times)
        connection.open()
        assert connection.model is not None
        athena = connection.model.multiplexed
        self._info = replace(
            self._info,
            name=connection.model.title,
            source_id=f"muse:{connection.name}:{connection.address}",
            uv_per_bit=ATHENA_UV_PER_BIT if athena else UV_PER_BIT,
            range_uv=ATHENA_RANGE_UV if athena else RANGE_UV,
        )
        self._connection = connection
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop the samples and disconnect, within about 1 s."""
        if self._connection is not None:
            self._connection.release()

    def close(self) -> None:
        """End the iteration, and begin to disconnect."""
        if self._connection is not None:
            self._connection.close()

    def __iter__(self) -> Iterator[Chunk]:
        if self._connection is None:
            raise RuntimeError("enter the driver before iterating over it")
        while True:
            chunk = self._connection.next_chunk()
            if chunk is None:
                return
            if self._columns is not None:
                chunk = replace(chunk, data=np.ascontiguousarray(chunk.data[:, self._columns]))
            yield chunk

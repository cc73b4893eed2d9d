"""Messages of packets, for a service and for the bus."""

from __future__ import annotations

import numpy as np

from mimamba.drivers.driver import AuxiliaryChunk
from mimamba.drivers.push_driver import Packet
from mimamba.service.protocol.push import Samples, SensorSamples


def samples_message(session: str, packet: Packet, offset: float = 0.0) -> Samples:
    """Make the message of a packet.

    ``offset`` is the receiver's clock less that of this machine, s; with 0 the times stay on this
    machine's.
    """
    chunk = packet.chunk
    return Samples(
        session,
        packet.seq,
        chunk.first,
        np.ascontiguousarray(chunk.timestamps, "<f8").tobytes(),
        np.ascontiguousarray(chunk.data, "<f4").tobytes(),
        offset,
        chunk.epoch,
        list(chunk.markers),
        list(packet.changes),
        packet.ends,
        [sensor_samples(each) for each in packet.auxiliary],
        packet.battery,
    )


def sensor_samples(chunk: AuxiliaryChunk) -> SensorSamples:
    """Write a sensor's samples for a message."""
    info = chunk.info
    return SensorSamples(
        info.name,
        info.unit,
        info.sfreq,
        list(info.ch_names),
        chunk.first,
        np.ascontiguousarray(chunk.timestamps, "<f8").tobytes(),
        np.ascontiguousarray(chunk.data, "<f4").tobytes(),
    )

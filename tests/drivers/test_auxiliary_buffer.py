from __future__ import annotations

import numpy as np

from mimamba.drivers.auxiliary_buffer import AuxiliaryBuffer
from mimamba.drivers.driver import AUXILIARY_SECONDS, AuxiliaryChunk, AuxiliaryInfo

PPG = AuxiliaryInfo("ppg", "counts", 64.0, ("red",))


def chunk_at(time: float) -> AuxiliaryChunk:
    return AuxiliaryChunk(PPG, np.zeros((1, 1), np.float32), np.array([time]), 0)


def test_each_chunk_is_taken_once_in_order() -> None:
    buffer = AuxiliaryBuffer()
    one, two, three = chunk_at(1), chunk_at(2), chunk_at(3)
    buffer.add([one, two])
    assert buffer.take() == [one, two]
    buffer.add([three])
    assert buffer.take() == [three]
    assert buffer.take() == []


def test_what_nobody_takes_is_dropped_after_a_minute() -> None:
    buffer = AuxiliaryBuffer()
    chunks = [chunk_at(float(second)) for second in range(100)]
    buffer.add(chunks)
    assert buffer.take() == chunks[-round(AUXILIARY_SECONDS) - 1 :]

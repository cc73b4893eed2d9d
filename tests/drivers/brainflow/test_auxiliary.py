"""Pulse and motion of BrainFlow's boards: the rows of each, and the synthetic board's samples."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.brainflow.auxiliary import AuxiliaryPreset, SensorsInRows, list_sensors
from mimamba.drivers.brainflow.boards import (
    BOARD_FACTS,
    SYNTHETIC,
    board_class,
    describe_board,
    find_board,
    load_brainflow,
)
from mimamba.drivers.driver import AuxiliaryChunk, AuxiliaryInfo, Chunk, HasAuxiliary
from mimamba.drivers.open import open_source
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.packet_counter import BYTE_NUMBERING, CounterClock

ACCELERATION = AuxiliaryInfo("acceleration", "g", 10.0, ("X", "Y", "Z"))


def sensors(board: str) -> dict[str, tuple[str, float, int]]:
    """Unit, rate and number of channels of each sensor."""
    return {
        info.name: (info.unit, info.sfreq, len(info.ch_names))
        for preset in AuxiliaryPreset.for_board(find_board(board).number)
        for info in preset.infos
    }


def test_the_sensors_of_known_boards() -> None:
    assert sensors("muse_2") == {
        "ppg": ("counts", 64.0, 3),
        "acceleration": ("g", 52.0, 3),
        "rotation": ("°/s", 52.0, 3),
    }
    assert sensors("muse_s_athena")["ppg"] == ("counts", 64.0, 16)
    assert sensors("explore_8_chan")["acceleration"] == ("counts", 20.0, 3)


@pytest.mark.parametrize(
    ("board", "sfreq"), [("cyton", 25), ("cyton_daisy", 25), ("cyton_wifi", 25), ("ganglion", 10)]
)
def test_openbci_boards_have_their_accelerometer_among_the_rows_of_the_eeg(
    board: str, sfreq: float
) -> None:
    number = find_board(board).number
    assert sensors(board) == {}
    found = SensorsInRows.for_board(number, BOARD_FACTS[number].motion_rate)
    assert found is not None
    assert found.infos == [AuxiliaryInfo("acceleration", "g", sfreq, ("X", "Y", "Z"))]


@pytest.mark.parametrize("board", ["synthetic", "muse_2", "explore_8_chan", "crown"])
def test_other_boards_have_none_there_or_have_presets_for_them(board: str) -> None:
    assert SensorsInRows.for_board(find_board(board).number, None) is None


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 45), st.data())
def test_one_row_in_twenty_is_taken_however_the_rows_are_split(
    lengths: list[int], quiet: int, data: st.DataObject
) -> None:
    """As a Ganglion sends: no value at first, then the axes one after the other, each repeated."""
    total = sum(lengths)
    every = np.repeat(np.arange(1, total // 6 + 2), 6)[:total]
    axes = np.stack([np.where(np.arange(total) < quiet + 2 * k, 0, every) for k in range(3)], 1)
    ganglion = SensorsInRows(20, [(ACCELERATION, [5, 6, 7])])
    gap = data.draw(st.integers(0, len(lengths) - 1))
    taken: list[AuxiliaryChunk] = []
    first, sent = 0, set()
    for at, length in enumerate(lengths):
        rows = slice(first, first + length)
        first += length
        if at == gap:
            continue
        sent |= set(range(rows.start, rows.stop))
        stamps = np.arange(rows.start, rows.stop) / 200
        taken += ganglion.push(Chunk(axes[rows].astype(np.float32), stamps, rows.start))
    places = [20 * (each.first + k) for each in taken for k in range(len(each.data))]
    heard = [at for at in sorted(sent) if axes[at].any()]
    begins = heard[0] + 20 if heard else total
    assert places == [at for at in range(begins, total) if at % 20 == 0 and at in sent]
    for each in taken:
        rows_of = 20 * (each.first + np.arange(len(each.data)))
        assert np.array_equal(each.data, axes[rows_of])
        assert np.allclose(each.timestamps, rows_of / 200)


def test_the_rows_of_the_synthetic_board_come_with_the_numbering_of_its_eeg() -> None:
    facts = describe_board(SYNTHETIC)
    motion = SensorsInRows(10, list_sensors(SYNTHETIC, facts, 25.0))
    assert {info.name for info in motion.infos} == {"acceleration", "rotation", "ppg"}
    board = board_class()(SYNTHETIC, load_brainflow().BrainFlowInputParams())
    board.prepare_session()
    try:
        board.start_stream()
        until = time.monotonic() + 60
        while board.get_board_data_count() < 130 and time.monotonic() < until:
            time.sleep(0.02)
        rows = board.get_board_data()
    finally:
        board.release_session()
    clock = CounterClock(BYTE_NUMBERING, 250.0)
    data = rows[motion.rows].T
    chunks = clock.push(rows[facts["package_num_channel"]], rows[facts["timestamp_channel"]], data)
    taken = [each for chunk in chunks for each in motion.push(chunk)]
    for info in motion.infos:
        (found,) = (each for each in taken if each.info == info)
        at = 10 * (found.first + np.arange(len(found.data)))
        own = [
            row for name, row in zip(names(motion), motion.rows, strict=True) if name == info.name
        ]
        assert np.array_equal(found.data, rows[own].T[at].astype(np.float32))
        assert len(found.data) >= 11


def names(motion: SensorsInRows) -> list[str]:
    """The sensor of each row."""
    return [info.name for info in motion.infos for _ in info.ch_names]


def test_the_synthetic_board_gives_pulse_and_motion_beside_the_eeg() -> None:
    with open_source("brainflow://synthetic", lambda _: None) as driver:
        assert isinstance(driver, HasAuxiliary)
        assert driver.has_auxiliary
        taken: list[AuxiliaryChunk] = []
        for _ in driver:
            taken += driver.take_auxiliary()
            if sum(len(each.data) for each in taken) > 3 * 150:
                break
    assert {each.info.name for each in taken} == {"ppg", "acceleration", "rotation"}
    for name, n_channels in (("ppg", 2), ("acceleration", 3), ("rotation", 3)):
        chunks = [each for each in taken if each.info.name == name]
        stamps = np.concatenate([each.timestamps for each in chunks])
        assert (np.diff(stamps) > 0).all()
        assert abs(stamps[-1] - local_clock()) < 5
        assert {each.data.shape[1] for each in chunks} == {n_channels}
        ends = [each.first + len(each.data) for each in chunks]
        assert all(each.first >= end for each, end in zip(chunks[1:], ends[:-1], strict=True))

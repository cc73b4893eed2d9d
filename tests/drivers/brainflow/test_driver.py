"""BrainFlow for real: its synthetic board, and what it answers where no device is."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.brainflow.boards import BOARD_FACTS, find_board, known_boards, load_brainflow
from mimamba.drivers.driver import Chunk, Driver
from mimamba.drivers.errors import BadChannels, BadSource, DeviceNotFound, StreamLost
from mimamba.drivers.open import open_driver
from mimamba.drivers.supervision.supervisor import Supervisor
from mimamba.drivers.timing.clock import local_clock


@contextmanager
def opened(url: str) -> Iterator[Driver]:
    with open_driver(url) as driver:
        yield driver


def take(driver: Driver, n_times: int) -> list[Chunk]:
    """Chunks of at least so many samples."""
    chunks: list[Chunk] = []
    for chunk in driver:
        chunks.append(chunk)
        if sum(chunk.n_times for chunk in chunks) >= n_times:
            break
    return chunks


@pytest.fixture(scope="module")
def samples() -> list[Chunk]:
    """Enough of the synthetic board that its counter wraps (at 255) three times."""
    with opened("brainflow://synthetic?channels=Fz,C3,4") as driver:
        return take(driver, 800)


def test_the_synthetic_board_stands_in_for_a_headset() -> None:
    with opened("brainflow://synthetic") as driver:
        info = driver.info
        chunk = take(driver, 1)[0]
    assert info.name == "BrainFlow's synthetic board"
    assert info.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert info.sfreq == 250
    assert info.live
    assert info.simulated
    assert "stand in for TP9, AF7, AF8, TP10" in info.notices[0]
    assert chunk.data.shape[1] == 4
    assert chunk.data.dtype == np.float32


def test_numbering_is_unbroken_over_the_counters_wraps(samples: list[Chunk]) -> None:
    assert samples[0].first == 0
    assert all(a.end == b.first for a, b in pairwise(samples))


def test_timestamps_are_on_the_lsl_clock_and_even(samples: list[Chunk]) -> None:
    times = np.concatenate([chunk.timestamps for chunk in samples])
    steps = np.diff(times)
    assert np.all(steps > 0)
    assert np.abs(np.median(steps) - 0.004) < 0.0005
    assert abs(local_clock() - times[-1]) < 100
    assert times[-1] < local_clock()


def test_units_are_microvolts(samples: list[Chunk]) -> None:
    data = np.concatenate([chunk.data for chunk in samples])
    assert 1 < data.std() < 200


def test_channels_are_picked_and_named() -> None:
    with opened("brainflow://synthetic?channels=Fz,C3,3,16&names=muse") as driver:
        assert driver.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
        assert driver.info.notices == ()
        assert take(driver, 1)[0].data.shape[1] == 4
    with opened("brainflow://synthetic?channels=C3,Cz") as driver:
        assert driver.info.ch_names == ("C3", "Cz")


def test_channels_that_are_not_there_are_refused() -> None:
    with pytest.raises(BadChannels, match="different channels"):
        open_driver("brainflow://synthetic?channels=Fz,C3,1")
    with pytest.raises(BadChannels, match="channel T7"):
        open_driver("brainflow://synthetic?channels=T7")


def test_close_from_another_thread_ends_the_iteration() -> None:
    with opened("brainflow://synthetic") as driver:
        chunks = iter(driver)
        next(chunks)
        closer = threading.Timer(0.05, driver.close)
        closer.start()
        for _ in chunks:
            pass
        closer.join()
        driver.close()
        assert list(driver) == []


def test_a_board_is_free_again_after_it_was_left() -> None:
    for _ in range(2):
        with opened("brainflow://synthetic") as driver:
            assert take(driver, 1)
    with (
        opened("brainflow://synthetic"),
        pytest.raises(DeviceNotFound, match="this program has already opened"),
    ):
        open_driver("brainflow://synthetic").__enter__()
    with opened("brainflow://synthetic") as driver:
        assert take(driver, 1)


def test_one_that_failed_leaves_the_session_of_another_alone() -> None:
    with opened("brainflow://synthetic") as driver:
        chunks = iter(driver)
        next(chunks)
        with pytest.raises(DeviceNotFound, match="this program has already opened") as caught:
            open_driver("brainflow://synthetic").__enter__()
        assert next(chunks).n_times
        del caught
        gc.collect()
        assert next(chunks).n_times


def test_a_start_that_fails_lets_the_board_go(monkeypatch: pytest.MonkeyPatch) -> None:
    shim = load_brainflow()

    def fail(*_: object) -> None:
        raise shim.BrainFlowError("no", shim.BrainFlowExitCodes.BOARD_WRITE_ERROR.value)

    with monkeypatch.context() as patch:
        patch.setattr(shim.BoardShim, "start_stream", fail)
        with pytest.raises(DeviceNotFound, match="BOARD_WRITE_ERROR"):
            open_driver("brainflow://synthetic").__enter__()
    with opened("brainflow://synthetic") as driver:
        assert take(driver, 1)


def test_a_session_released_behind_its_back_is_a_lost_stream() -> None:
    with opened("brainflow://synthetic") as driver:
        chunks = iter(driver)
        next(chunks)
        load_brainflow().BoardShim.release_all_sessions()
        with pytest.raises(StreamLost, match="BOARD_NOT_CREATED_ERROR"):
            for _ in chunks:
                pass


def test_the_supervisor_reconnects_the_board() -> None:
    states: list[str] = []
    first: list[int] = []
    url = "brainflow://synthetic"
    with Supervisor(lambda: open_driver(url), lambda c: states.append(c.state)) as driver:
        for n, chunk in enumerate(driver):
            first.append(chunk.first)
            if n == 3:
                load_brainflow().BoardShim.release_all_sessions()
            if states.count("connected") == 2:
                break
    assert states == ["connected", "lost", "retrying", "connected"]
    assert first == sorted(set(first))
    assert first[-1] - first[-2] > 100  # half a second of back-off


@pytest.mark.parametrize(
    "board", ["muse_2", "muse_s", "muse_2016", "muse_s_athena", "ganglion_native"]
)
def test_a_headset_without_bluetooth(board: str) -> None:
    if Path("/sys/class/bluetooth").is_dir():
        pytest.skip("this machine has a Bluetooth adapter")
    with pytest.raises(DeviceNotFound, match="Switch Bluetooth on"):
        open_driver(f"brainflow://{board}").__enter__()


def test_the_presets_of_the_muses_with_the_pulse_are_those_that_brainflow_accepts() -> None:
    """It looks at the preset before it looks for the headset: p61 is for a Muse S alone."""
    with pytest.raises(BadSource):
        open_driver("brainflow://muse_2?other_info=preset=p61").__enter__()


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or Path("/run/dbus/system_bus_socket").exists(),
    reason="needs a Linux without D-Bus",
)
def test_a_board_whose_library_ends_the_program_without_dbus_is_not_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    driver = open_driver("brainflow://synchroni_uno_1_channels")
    with pytest.raises(DeviceNotFound, match="no D-Bus"):
        driver.__enter__()


def test_a_cyton_without_its_port() -> None:
    with pytest.raises(BadSource, match="serial_port="):
        open_driver("brainflow://cyton").__enter__()
    with pytest.raises(DeviceNotFound, match="/dev/ttyNONE"):
        open_driver("brainflow://cyton?serial_port=/dev/ttyNONE").__enter__()


def test_boards_are_found_by_name_and_number() -> None:
    for text in ("muse_2", "MUSE_2", "Muse_2_Board", "muse-2", "38"):
        assert find_board(text).number == 38
    assert find_board("cyton").number == 0
    assert find_board("ganglion").number == 1
    assert find_board("synthetic") == find_board("-1")
    assert all(find_board(board.name) == board for board in known_boards())
    assert set(BOARD_FACTS) <= {board.number for board in known_boards()}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("brainflow://muse2", "muse_2"),
        ("brainflow://", "muse_2"),
        ("brainflow://9999", "synthetic"),
        ("brainflow://callibri_emg", "which has none"),
        ("brainflow://muse_2?mac=00:11", "mac"),
        ("brainflow://muse_2?file=/tmp/x", "file"),
        ("brainflow://muse_2?timeout=-1", "timeout"),
        ("brainflow://playback_file?file=x", "master_board"),
        ("brainflow://playback_file?file=x&master_board=muse", "muse_2"),
    ],
)
def test_a_wrong_url_is_refused_before_anything_is_connected(url: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        open_driver(url)


def test_what_is_known_of_the_headsets() -> None:
    muse = open_driver("brainflow://muse_2?mac_address=00:11:22:33:44:55").info
    assert muse.name == "Muse 2"
    assert muse.source_id == "brainflow:/muse_2/00:11:22:33:44:55"
    assert muse.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert muse.uv_per_bit == pytest.approx(0.48828, abs=1e-5)
    assert muse.range_uv == 1000
    cyton = open_driver("brainflow://cyton?serial_port=/dev/ttyUSB0&channels=1,2,7,8").info
    assert cyton.uv_per_bit == pytest.approx(0.02235, abs=1e-5)
    assert cyton.ch_names == ("Fp1", "Fp2", "O1", "O2")
    ganglion = open_driver("brainflow://ganglion_native?names=muse").info
    assert ganglion.uv_per_bit == pytest.approx(0.00187, abs=1e-5)
    assert ganglion.ch_names == ("TP9", "AF7", "AF8", "TP10")
    athena = open_driver("brainflow://muse_s_athena").info
    assert athena.uv_per_bit == 0.0885
    assert open_driver("brainflow://explore_4_chan").info.uv_per_bit is None


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """BrainFlow's own format: the synthetic board's rows, one line per sample, tab-separated.

    Packets 40 to 69 never came.
    """
    index = np.delete(np.arange(600), np.arange(40, 70))
    rows = np.zeros((32, len(index)))
    rows[0] = index % 256
    rows[1:17] = np.arange(1, 17)[:, None]
    rows[30] = 1.7e9 + np.arange(len(index)) / 250
    path = tmp_path / "recording.csv"
    np.savetxt(path, rows.T, delimiter="\t", fmt="%.6f")
    return path


def test_a_recording_is_played_back_with_its_losses(recording: Path) -> None:
    url = f"brainflow://playback_file?file={recording}&master_board=synthetic&channels=2,4"
    with opened(url) as driver:
        chunks = take(driver, 100)
    assert not driver.info.simulated
    assert driver.info.ch_names == ("C3", "C4")
    np.testing.assert_array_equal(chunks[0].data[0], [2, 4])
    jumps = [(a.end, b.first) for a, b in pairwise(chunks) if a.end != b.first]
    assert jumps == [(40, 70)]

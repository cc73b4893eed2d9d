from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.channels import ChannelChoice
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.read import ReadOptions, read_recording
from mimamba.drivers.formats.recording import Recording
from tests.drivers.formats import files

START = np.datetime64("2024-05-01T10:00:00").astype(np.int64)


def read(folder: Path, lines: list[str]) -> Recording:
    return read_recording(files.text(folder / "mind.csv", lines))


def made_lines(folder: Path, n_times: int = 1000) -> list[str]:
    return files.mindmonitor(folder, n_times).read_text().splitlines()


def test_a_whole_file(tmp_path: Path) -> None:
    made = read_recording(files.mindmonitor(tmp_path, 1000))
    assert (made.info.sfreq, made.info.ch_names) == (256.0, files.LABELS)
    np.testing.assert_allclose(made.data, files.signal(1000), atol=1e-3)
    np.testing.assert_array_equal(made.index, np.arange(1000))
    np.testing.assert_allclose(made.timestamps, START + np.arange(1000) / 256, atol=2e-3)
    (marker,) = made.markers
    assert (marker.index, marker.label, marker.source) == (
        *(100, "/muse/elements/blink"),
        "Mind Monitor",
    )
    assert made.info.notices == ("Raw values: the offset of 841.4 µV is subtracted.",)
    assert made.info.range_uv == pytest.approx(841.4, abs=0.1)


def test_samples_that_share_a_stamp(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    samples = [line for line in lines[1:] if not line.endswith("blink")]
    shared = [
        samples[k - k % 12].partition(",")[0] + "," + line.partition(",")[2]
        for k, line in enumerate(samples)
    ]
    made = read(tmp_path, [lines[0], *shared])
    np.testing.assert_array_equal(made.index, np.arange(1000))
    assert (np.diff(made.timestamps) > 0).all()


def test_a_loss(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    made = read(tmp_path, lines[:400] + lines[500:])
    assert [chunk.n_times for chunk in made.chunks(9999)] == [398, 502]
    assert list(made.chunks(9999))[1].first == pytest.approx(498, abs=1)


def test_rows_with_empty_cells_count_as_lost_and_events_do_not(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    stamp = lines[300].partition(",")[0]
    cells = lines[301].split(",")
    cells[-4] = ""
    lines[301] = ",".join(cells)
    lines.insert(300, stamp + "," * (len(cells) - 1) + "/Marker/1")
    lines.append(stamp + "," * (len(cells) - 1) + "/muse/event/disconnected")
    made = read(tmp_path, lines)
    np.testing.assert_array_equal(made.index, np.delete(np.arange(1000), 299))
    assert [(m.index, m.label) for m in made.markers] == [
        (100, "/muse/elements/blink"),
        (298, "/Marker/1"),
        (999, "/muse/event/disconnected"),
    ]


def test_an_event_on_a_sample_s_own_row(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    lines[50] += "/muse/elements/jaw_clench"
    made = read(tmp_path, lines)
    assert made.n_times == 1000
    assert made.markers[0].index == 49


def test_stamps_that_are_no_time(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    lines[200] = "yesterday" + lines[200][19:].partition(",")[1] + lines[200].partition(",")[2]
    np.testing.assert_array_equal(read(tmp_path, lines).index, np.arange(1000))


def test_fewer_rows_than_samples(tmp_path: Path) -> None:
    lines = made_lines(tmp_path, 5000)
    with pytest.raises(BadRecording, match=r"256 or 220 rows per second .* found 25"):
        read(tmp_path, [lines[0], *lines[1::10]])


def test_a_muse_of_2014(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    samples = [line for line in lines[1:] if not line.endswith("blink")]
    times = np.datetime64("2015-05-01T10:00:00") + (np.arange(1000) / 0.22).astype("m8[ms]")
    stamped = [
        f"{str(time).replace('T', ' ')},{line.partition(',')[2]}"
        for time, line in zip(times, samples, strict=True)
    ]
    assert read(tmp_path, [lines[0], *stamped]).info.sfreq == 220.0


def test_auxiliary_channels_only_when_asked_for(shared_data: Path) -> None:
    path = shared_data / "formats" / "mindmonitor" / "derived_mindmonitor_layout.csv"
    made = read_recording(path, ChannelChoice(("AUX_RIGHT", "TP9")))
    assert made.info.ch_names == ("AUX_RIGHT", "TP9")
    assert made.data[0].tolist() == pytest.approx(
        [885.345 - 841.4075, 852.142 - 841.4075], abs=1e-3
    )


def test_the_same_recording_as_muse_lsl_s(shared_data: Path) -> None:
    formats = shared_data / "formats"
    made = read_recording(formats / "mindmonitor" / "derived_mindmonitor_layout.csv")
    source = read_recording(formats / "muselsl" / "ssvep_subject1_data_2017-09-14-21.20.04.csv")
    np.testing.assert_array_equal(made.index, np.arange(7680))
    np.testing.assert_allclose(made.data, source.data[:7680], atol=0.01)
    assert [(marker.index, marker.label) for marker in made.markers] == [
        (0, "/muse/event/connected Muse-0000"),
        (2000, "/muse/elements/blink"),
        (5000, "/muse/elements/blink"),
    ]


def test_a_file_that_a_spreadsheet_has_saved_again(tmp_path: Path) -> None:
    lines = made_lines(tmp_path)
    expected = read(tmp_path, lines)
    again = [line.replace(",", ";").replace(".", ",") for line in lines]
    stamped = [line[:19] + line[19:].replace(",", ".", 1) for line in again[1:]]  # stamps keep it
    found = read(tmp_path, [again[0], *stamped])
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(found.timestamps, expected.timestamps)
    assert found.markers == expected.markers


def test_a_clock_that_jumps_by_an_hour(tmp_path: Path) -> None:
    lines = made_lines(tmp_path, 2000)
    moved = [line.replace(" 10:00:0", " 11:00:0", 1) for line in lines[1200:]]
    made = read(tmp_path, [*lines[:1200], *moved])
    np.testing.assert_array_equal(made.index, np.arange(made.n_times))
    assert any("jumps (+3600 s at sample" in notice for notice in made.info.notices)


def test_a_person_s_rate_decides(tmp_path: Path) -> None:
    path = files.mindmonitor(tmp_path, 3000)
    assert read_recording(path, options=ReadOptions(sfreq=250.0)).info.sfreq == 250.0

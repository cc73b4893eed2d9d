"""Edits of markers: any order of them, read again, and files of edits that are damaged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.convert import export
from mimamba.drivers.formats.marker_edits import (
    MAX_BYTES,
    MarkerEdit,
    edited_markers,
    edits_file,
    timestamp_of,
)
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.recording import Recording
from tests.drivers.formats.made import recording, recordings

MADE = recording(lost=((300, 100),), labels=((20, "one"), (350, "in a gap"), (420, "three")))
ON = "2026-01-02T10:00:00+00:00"


def edit(action: str, marker: str, **facts: object) -> MarkerEdit:
    return msgspec.convert({"date": ON, "action": action, "marker": marker, **facts}, MarkerEdit)


def read(folder: Path, *lines: bytes) -> Recording:
    path = folder / "made.xdf"
    if not path.exists():
        export(MADE, str(path))
    edits_file(path).write_bytes(b"\n".join(lines))
    return read_recording(path)


def labels(read: Recording) -> list[tuple[int, str]]:
    return [(each.index, each.label) for each in read.markers]


def test_edits_hold_wherever_the_file_is_read(tmp_path: Path) -> None:
    made = (
        edit("change", "r0", label="two", recorded="one"),
        edit("change", "r2", timestamp=timestamp_of(MADE, 10 / 256), recorded="three"),
        edit("delete", "r1", recorded="in a gap"),
        edit("add", "a1", label="new", timestamp=timestamp_of(MADE, 350 / 256)),
        edit("add", "a2", label="gone", timestamp=timestamp_of(MADE, 0)),
        edit("delete", "a2"),
    )
    found = read(tmp_path, *map(msgspec.json.encode, made))
    before = (tmp_path / "made.xdf").read_bytes()
    assert labels(found) == [(10, "three"), (20, "two"), (350, "new")]
    source = MADE.markers[0].source
    assert [each.source for each in found.markers] == [
        *[f"{source}, edited"] * 2,
        "added afterwards",
    ]
    assert "Markers were edited after the recording: 1 added, 2 changed, 2 deleted." in (
        found.info.notices
    )
    again, _ = export(found, str(tmp_path / "again.csv"))
    assert labels(read_recording(again)) == labels(found)
    assert (tmp_path / "made.xdf").read_bytes() == before
    assert labels(read_recording(tmp_path / "made.xdf", edited=False)) == labels(MADE)


def test_a_file_that_replaces_another_has_none_of_its_edits(tmp_path: Path) -> None:
    added = edit("add", "a1", label="new", timestamp=timestamp_of(MADE, 1.0))
    assert len(read(tmp_path, msgspec.json.encode(added)).markers) == 4
    export(MADE, str(tmp_path / "made.xdf"), force=True)
    assert labels(read_recording(tmp_path / "made.xdf")) == labels(MADE)


def test_an_edit_is_for_the_marker_at_its_time(tmp_path: Path) -> None:
    """With another stream of the file, the same number is another marker."""
    at = MADE.markers[0].timestamp
    for moved, expected in ((0.001, "two"), (0.01, "one")):
        made = edit("change", "r0", label="two", recorded="one", recorded_at=at + moved)
        assert read(tmp_path, msgspec.json.encode(made)).markers[0].label == expected


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    unfit = (
        edit("delete", "r0", recorded="of another file"),
        edit("delete", "r9", recorded="one"),
        edit("add", "a1", label="without a place"),
        edit("add", "r1", label="taken", timestamp=1.0),
        edit("change", "r0", label="\n", recorded="one"),
    )
    fit = edit("change", "r0", label="new\nline", recorded="one")
    torn = msgspec.json.encode(fit)[:-9]
    found = read(tmp_path, *map(msgspec.json.encode, (*unfit, fit)), b"{}", torn)
    assert [label for _, label in labels(found)] == ["new line", "in a gap", "three"]
    told = " ".join(found.info.notices)
    assert "2 lines of made.xdf.edits.jsonl are no edits of markers" in told
    assert "5 edits of markers do not fit the file" in told
    assert "1 changed" in told
    found = read(tmp_path, b" " * (MAX_BYTES + 1))
    assert labels(found) == labels(MADE)
    assert "too many" in " ".join(found.info.notices)


@given(recordings(), st.data())
def test_any_edits_leave_markers_in_order_within_the_recording(
    made: Recording, data: st.DataObject
) -> None:
    ids = [f"r{n}" for n in range(len(made.markers))] + ["a1", "a2"]
    length = made.end / made.info.sfreq
    known = {f"r{n}": each.label for n, each in enumerate(made.markers)}
    edits = []
    for _ in range(data.draw(st.integers(0, 8))):
        marker = data.draw(st.sampled_from(ids))
        position = data.draw(st.floats(0, length))
        edits.append(
            edit(
                data.draw(st.sampled_from(["add", "change", "delete", "restore"])),
                marker,
                label="new",
                timestamp=timestamp_of(made, position),
                recorded=known.get(marker),
            )
        )
    found, _ = edited_markers(made, edits)
    places = [each.marker.index for each in found]
    assert places == sorted(places)
    assert all(0 <= at <= made.end for at in places)
    restored = [edit("restore", each, recorded=label) for each, label in known.items()]
    again, _ = edited_markers(made, [*edits, *restored])
    kept = [each.marker for each in again if each.recorded is not None]
    assert sorted(kept, key=repr) == sorted(made.markers, key=repr)


@given(recordings(), st.data())
def test_a_position_is_found_again(made: Recording, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, made.end))
    added = edit("add", "a1", label="x", timestamp=timestamp_of(made, index / made.info.sfreq))
    found, unfit = edited_markers(made, [added])
    (marker,) = (each.marker for each in found if each.id == "a1")
    assert (marker.index, unfit) == (index, 0)
    assert isinstance(marker, Marker)
    assert np.isfinite(marker.timestamp)

"""A head's file: the same bytes again, small, and one sentence for each wrong file."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mimamba.models.personal.fit_personal import fit_personal
from mimamba.models.personal.head_file import (
    MAX_BYTES,
    HeadError,
    encode_head,
    load_head,
    save_head,
    verify_head,
)
from tests.models.personal.sittings import ALPHA, sitting

SITTING = sitting(ALPHA, start=20.0)
FIT = fit_personal(*SITTING, baseline=15.0)


def test_a_head_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    save_head(path, FIT)
    assert path.stat().st_size < 10_000
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    again = load_head(path)
    assert encode_head(again) == path.read_bytes() == encode_head(FIT)
    assert again.verdict == FIT.verdict
    assert again.attempts == FIT.attempts
    assert again.settings == FIT.settings
    assert again.baseline is not None
    assert FIT.baseline is not None
    np.testing.assert_array_equal(again.baseline.log_power, FIT.baseline.log_power)


def test_a_recording_gives_the_same_bytes_again(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    save_head(path, FIT)
    assert verify_head(path, [SITTING[0]]).verdict == FIT.verdict


def test_another_recording_or_other_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    save_head(path, FIT)
    recording = SITTING[0]
    other = recording.data.copy()
    other[3000, 1] += 1.0
    with pytest.raises(HeadError, match="other samples in recording 1"):
        verify_head(path, [replace(recording, data=other)])
    with pytest.raises(HeadError, match="1 recordings, in the order of the attempts, but found 2"):
        verify_head(path, [recording, recording])
    assert FIT.head is not None
    weights = FIT.head.weights.copy()
    weights[0] += 1e-9
    save_head(path, replace(FIT, head=replace(FIT.head, weights=weights)))
    with pytest.raises(HeadError, match=r"the bytes of .* again, but found others"):
        verify_head(path, [recording])


def test_a_verdict_without_head_has_no_file(tmp_path: Path) -> None:
    recording, blocks = sitting(ALPHA)
    fit = fit_personal(recording, blocks[:6])
    assert fit.head is None
    with pytest.raises(
        HeadError, match="Expected a head to write, but found none, as the verdict is 'too few'"
    ):
        save_head(tmp_path / "head.safetensors", fit)
    assert not list(tmp_path.iterdir())


def test_wrong_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    with pytest.raises(HeadError, match=r"readable file .* No such file"):
        load_head(path)
    good = encode_head(FIT)
    for content in (
        b"",
        b"not a head",
        good[:-3],
        pickle.dumps({"weights": [1.0]}),
        safetensors.numpy.save({"weights": np.zeros(24)}),
        safetensors.numpy.save({"weights": np.zeros(24)}, metadata={"mimamba-head": "{}"}),
    ):
        path.write_bytes(content)
        with pytest.raises(HeadError, match="a personal head, but found another or a damaged"):
            load_head(path)
    path.write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(HeadError, match="at most 1024 kB"):
        load_head(path)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b'\\"version\\":1', b'\\"version\\":2', "version 1, but found one of version 2"),
        (b'\\"half_life\\":5.0', b'\\"half_life\\":4.0', "with other features"),
        (b'\\"AF8\\"', b'\\"AF7\\",\\"X\\"', "weights of shape"),
    ],
)
def test_a_contradicting_header_is_refused(
    tmp_path: Path, old: bytes, new: bytes, error: str
) -> None:
    content = encode_head(FIT)
    n_bytes = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + n_bytes].replace(old, new, 1), content[8 + n_bytes :]
    assert header != content[8 : 8 + n_bytes]
    path = tmp_path / "head.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + rest)
    with pytest.raises(HeadError, match=error):
        load_head(path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    assert FIT.head is not None
    bad = replace(FIT, head=replace(FIT.head, weights=np.full(24, np.nan)))
    path = tmp_path / "head.safetensors"
    path.write_bytes(encode_head(bad))
    with pytest.raises(HeadError, match="weights of shape"):
        load_head(path)

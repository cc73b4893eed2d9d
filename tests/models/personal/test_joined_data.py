"""Later days and ratings join a head: deterministic, named in its file, and only if they hold."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from mimamba.drivers.formats.recording import Recording
from mimamba.models.personal.features import track_features
from mimamba.models.personal.fit_personal import (
    CalibrationSettings,
    PersonalFit,
    add_moments,
    calibrate,
    make_attempt,
    measure,
    score_newest,
)
from mimamba.models.personal.head_file import (
    MOMENTS,
    HeadError,
    encode_head,
    load_head,
    save_head,
    verify_head,
)
from mimamba.models.personal.joined_data import (
    JoinedData,
    KeptMoment,
    MomentNote,
    MomentsError,
    RatedMoment,
    balance,
    decode_moments,
    encode_moments,
)
from mimamba.models.personal.pseudo_calibrations import Effect
from tests.models.personal.sittings import ALPHA, MUSE, sitting

SETTINGS = CalibrationSettings(("a", "b"), MUSE)
FIRST, CHECK = sitting(ALPHA), sitting(ALPHA, seed=5, n_blocks=6)


def moments(effect: Effect | None, seed: int, n: int = 8) -> tuple[list[KeptMoment], list[str]]:
    """Moments as the hops of a recording's blocks, with the states that are rated."""
    recording, blocks = sitting(effect, seed, n_blocks=n)
    track = track_features(recording, MUSE)
    kept = []
    for number, block in enumerate(blocks):
        hops = track.values[track.within(block.start, block.stop)]
        rated = 80.0 if block.kind == "b" else 20.0
        content = np.ascontiguousarray(hops, "<f8").tobytes()
        kept.append(
            KeptMoment("2026-02-03", "e", number, rated, rated, None, content, len(hops), b"", 0.0)
        )
    return kept, [block.kind for block in blocks]


def fit(
    kept: list[KeptMoment], kinds: list[str], days: tuple[str, ...] = (), looks: int = 1
) -> PersonalFit:
    rated = tuple(
        RatedMoment(MomentNote(each.day, 0, kind, each.valence, each.sha256), each.values)
        for each, kind in zip(kept, kinds, strict=True)
    )
    recordings = [FIRST[0], *([CHECK[0]] if days else [])]
    attempts = [make_attempt(*FIRST), *([make_attempt(*CHECK)] if days else [])]
    joined = JoinedData(days, rated, None, looks)
    return calibrate(recordings, tuple(attempts), SETTINGS, joined)


def test_a_confirmed_day_joins_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    alone, joined = fit([], []), fit([], [], ("2026-02-03",))
    assert alone.holds
    assert joined.holds
    assert (joined.verdict.attempts, joined.verdict.tests) == (1, 2)
    assert joined.verdict.n_blocks == (9, 9)
    save_head(path, joined)
    again = load_head(path)
    assert again.days == ("2026-02-03",)
    assert [len(each.blocks) for each in again.attempts] == [12, 6]
    recordings: list[Recording] = [FIRST[0], CHECK[0]]
    assert encode_head(verify_head(path, recordings)) == path.read_bytes() != encode_head(alone)
    with pytest.raises(HeadError, match="2 recordings"):
        verify_head(path, recordings[:1])


def test_ratings_join_if_they_are_told_apart(tmp_path: Path) -> None:
    kept, kinds = moments(ALPHA, 7)
    joined = fit(kept, kinds)
    assert joined.holds
    assert joined.added is not None
    assert joined.added.p == pytest.approx(1 / 70)
    assert fit(kept, kinds, looks=4).added is not None
    assert not fit(kept, kinds, looks=4).holds  # the fourth look at 8 ratings
    path = tmp_path / "head.safetensors"
    save_head(path, joined)
    with pytest.raises(HeadError, match="Keep both files together"):
        verify_head(path, [FIRST[0]])
    path.with_suffix(MOMENTS).write_bytes(encode_moments([*kept, *moments(None, 1)[0]]))
    assert encode_head(verify_head(path, [FIRST[0]])) == path.read_bytes()
    path.with_suffix(MOMENTS).write_bytes(encode_moments(kept[1:]))
    with pytest.raises(MomentsError, match="2026-02-03"):
        verify_head(path, [FIRST[0]])


def test_ratings_of_nothing_are_not_served() -> None:
    measured = measure([track_features(FIRST[0], MUSE)], [make_attempt(*FIRST)], "b")
    held = 0
    for seed in range(20):
        kept, kinds = moments(None, 100 + seed)
        rated = [
            RatedMoment(MomentNote(each.day, 0, kind, 0.0, each.sha256), each.values)
            for each, kind in zip(kept, kinds, strict=True)
        ]
        held += score_newest(add_moments(measured, rated, "b"), SETTINGS, 1).passed
    assert held <= 2  # the calibration alone would pass each time


def test_as_many_of_each_state_the_newest() -> None:
    kept, _ = moments(None, 1, n=14)
    sides = ["a"] * 7 + [None, "b", "b", "b"]
    assert balance(kept[:11], sides, ("a", "b")) == []
    chosen = balance(kept[:12], [*sides, "b"], ("a", "b"))
    assert [each.index for each, _ in chosen] == [3, 4, 5, 6, 8, 9, 10, 11]
    assert [side for _, side in chosen] == ["a"] * 4 + ["b"] * 4


def test_damaged_ratings_are_refused() -> None:
    kept, _ = moments(None, 1, n=4)
    assert decode_moments(encode_moments(kept), "here") == tuple(kept)
    odd = msgspec.structs.replace(kept[0], n_hops=7)
    for content in (b"", b"[{}]", encode_moments([odd])):
        with pytest.raises(MomentsError, match="here"):
            decode_moments(content, "here")

"""What a stream's facts say about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.drivers.lsl.stream_types import is_eeg_type, is_marker_stream, marker_label


@pytest.mark.parametrize("kind", ["EEG", "eeg", "Eeg", " eeg "])
def test_eeg_in_any_case(kind: str) -> None:
    assert is_eeg_type(kind)
    assert not is_marker_stream(kind, 0.0, 1, is_text=False)


@given(
    st.sampled_from(["marker", "markers", "trigger", "triggers", "stim", "events", "annotations"]),
    st.randoms(use_true_random=False),
    st.integers(1, 8),
)
def test_a_type_of_markers_in_any_spelling(word: str, random: object, n_channels: int) -> None:
    spelt = "".join(random.choice([one.upper(), one]) for one in word)  # type: ignore[attr-defined]
    assert is_marker_stream(spelt, 0.0, n_channels, is_text=False)
    assert not is_marker_stream(spelt, 256.0, n_channels, is_text=False)


@pytest.mark.parametrize(
    ("kind", "rate", "n_channels", "is_text", "wanted"),
    [
        ("", 0.0, 1, False, True),
        ("PsychoPy", 0.0, 1, False, True),
        ("anything", 100.0, 3, True, True),
        ("PPG", 0.0, 1, False, False),
        ("Gaze", 0.0, 2, False, False),
        ("", 50.0, 1, False, False),
    ],
)
def test_other_types(kind: str, rate: float, n_channels: int, is_text: bool, wanted: bool) -> None:
    assert is_marker_stream(kind, rate, n_channels, is_text) is wanted


def test_labels() -> None:
    assert marker_label([7]) == marker_label([7.0]) == "7"
    assert marker_label([1234567]) == "1234567"
    assert marker_label([2.5, "go", b"\xff"]) == "2.5; go; \N{REPLACEMENT CHARACTER}"
    assert marker_label([float("nan")]) == "nan"

"""The log of predictions gives back what was logged, and takes little memory."""

from __future__ import annotations

import os
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.models.prediction import LabelSet, Prediction
from mimamba.service.bench.process_usage import resident_megabytes
from mimamba.service.logs.prediction_log import PredictionLog, PublishedPrediction
from mimamba.service.topics import Timing

numbers = st.floats(allow_nan=False)
probabilities = st.floats(0, 1)
outputs = st.one_of(
    st.fixed_dictionaries({"valence": st.fixed_dictionaries({"low": probabilities})}),
    st.fixed_dictionaries(
        {
            name: st.fixed_dictionaries({"low": probabilities, "high": probabilities})
            for name in ("valence", "arousal")
        }
    ),
    st.sampled_from([7, 8, 63, 64]).map(lambda n: {"valence": {f"{k}": k / n for k in range(n)}}),
)


@st.composite
def with_sets(draw: st.DrawFn) -> Prediction:
    """A prediction with a set of its first output, which may have its first or last label."""
    found = draw(outputs)
    labels = [*found["valence"]]
    chosen = draw(st.sampled_from([(), (labels[0],), (labels[-1],), tuple(labels)]))
    learnt = draw(st.none() | probabilities)
    label_set = LabelSet(chosen, learnt, draw(st.integers(0, 200)))
    index, timestamp = draw(st.integers(0, 2**60)), draw(numbers)
    return Prediction(index, timestamp, "ok", None, found, {"valence": label_set})


made = st.one_of(
    st.builds(
        Prediction,
        st.integers(0, 2**60),
        numbers,
        st.sampled_from(["warming_up", "poor_signal"]),
        st.text(),
        st.none(),
    ),
    st.builds(Prediction, st.integers(0, 2**60), numbers, st.just("ok"), st.none(), outputs),
    with_sets(),
)
entries = st.lists(
    st.builds(PublishedPrediction, made, st.builds(Timing, numbers, numbers, numbers)), max_size=12
)


@given(
    st.integers(1, 6),
    st.lists(st.tuples(entries, st.integers(1, 20)), max_size=4),
    st.integers(0, 30),
)
def test_it_gives_what_a_list_of_its_last_entries_gives(
    capacity: int, turns: list[tuple[list[PublishedPrediction], int]], seq: int
) -> None:
    log = PredictionLog(capacity)
    kept: list[tuple[int, PublishedPrediction]] = []
    for logged, wider in turns:
        kept += [(log.append(entry), entry) for entry in logged]
        kept = kept[-capacity:]
        capacity = max(capacity, wider)
        log.widen(wider)
        assert log.read(0, log.next) == kept
        assert log.read(seq, log.next - 1) == [
            each for each in kept if seq <= each[0] < log.next - 1
        ]
        assert log.oldest == (kept[0][0] if kept else log.next)


def test_an_hour_takes_no_more_memory_than_a_minute() -> None:
    log = PredictionLog(7200)

    def log_minutes(count: int) -> None:
        for n in range(120 * count):
            found = {"valence": {"low": n / 7200, "high": 1 - n / 7200}}
            log.append(
                PublishedPrediction(Prediction(n, float(n), "ok", None, found), Timing(n, n, n))
            )

    log_minutes(1)
    tracemalloc.start()
    log_minutes(59)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 200_000  # 7.7 MB as objects


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count pages in another way")
def test_its_pages_come_with_the_first_twelfth_of_the_predictions() -> None:
    outputs = {"valence": {"low": 0.25, "high": 0.75}, "arousal": {"low": 0.5, "high": 0.5}}
    sets = {name: LabelSet(("low",), 0.9, 10) for name in outputs}
    entry = PublishedPrediction(Prediction(0, 0.0, "ok", None, outputs, sets), Timing(0, 0, 0))
    rows = 30_000
    before = resident_megabytes(os.getpid())
    log = PredictionLog(rows // 2)
    log.append(entry)
    log.widen(rows)
    seen = []
    for count in (100, rows // 12, rows - rows // 12 - 200):
        for _ in range(count):
            log.append(entry)
        seen.append(resident_megabytes(os.getpid()) - before)
    assert seen[0] < 1  # of 3.2
    assert seen[2] - seen[1] < 0.5
    assert log.read(0, 100) == [(n, entry) for n in range(100)]


@given(st.lists(st.none() | st.sets(st.integers(0, 129)), min_size=1, max_size=4))
def test_a_set_of_any_number_of_labels_is_kept(held: list[set[int] | None]) -> None:
    log = PredictionLog(4)
    shares = {f"label {n}": 1 / 130 for n in range(130)}
    outputs = {"first": shares, "second": {"low": 1.0}}
    for each in held:
        found = {"second": LabelSet(("low",), None, 0)}
        if each is not None:
            found["first"] = LabelSet(tuple(f"label {n}" for n in sorted(each)), None, 0)
        made = Prediction(0, 0.0, "ok", None, outputs, found)
        entry = PublishedPrediction(made, Timing(0.0, 0.0, 0.0))
        assert log.read(log.append(entry), log.next) == [(log.next - 1, entry)]

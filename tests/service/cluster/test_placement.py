from __future__ import annotations

from string import ascii_letters, digits

from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.cluster.placement import LEASE_SECONDS, LiveWorkers, place
from mimamba.service.cluster.subjects import (
    SHARDS,
    WorkerStatus,
    input_subject,
    output_subject,
    shard_of,
)

WORKERS = st.sets(st.text("abcdef0123456789", min_size=8, max_size=8), min_size=1, max_size=12)


@given(WORKERS, st.data())
def test_only_the_shards_of_a_worker_move_when_it_goes(
    workers: set[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(workers)))
    for shard in range(SHARDS):
        before, after = place(shard, workers), place(shard, workers - {gone})
        assert before == gone or after == before
        assert after != gone


def test_shards_are_spread() -> None:
    workers = [f"{n:08x}" for n in range(4)]
    counts = [sum(place(shard, workers) == each for shard in range(SHARDS)) for each in workers]
    assert min(counts) >= 6
    assert place(0, []) is None


def test_signs_of_life() -> None:
    now = 100.0
    live = LiveWorkers(lambda: now)
    live.note(WorkerStatus("a", "host", 0, 200, 0, 0, 0))
    now += LEASE_SECONDS
    assert set(live.all()) == {"a"}
    now += 0.01
    assert live.all() == {}
    live.note(WorkerStatus("a", "host", 0, 200, 0, 0, 0))
    live.forget("a")
    assert live.all() == {}


IDS = st.builds(
    str.__add__,
    st.sampled_from(ascii_letters + digits),
    st.text(ascii_letters + digits + "_.-", max_size=63),
)


@given(IDS)
def test_any_id_makes_a_subject(session: str) -> None:
    assert 0 <= shard_of(session) < SHARDS
    for subject in (input_subject(session), output_subject(session, "state")):
        assert len(subject.split(".")) in (3, 4)
        assert subject.rpartition(".")[2].replace("~", ".") == session

"""From notifications to chunks: numbering, timestamps, gaps, and what else is measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import AuxiliaryChunk, Chunk
from mimamba.drivers.muse.packets import ATHENA_UV_PER_BIT, UV_PER_BIT
from mimamba.drivers.muse.protocol import ATHENA, EEG, PPG
from mimamba.drivers.muse.receiver import MuseReceiver
from tests.drivers.muse.notifications import (
    RECORDED,
    Notification,
    classic,
    eeg_code,
    recorded,
)


def receive(
    notifications: Iterable[Notification],
) -> tuple[list[Chunk], dict[str, list[AuxiliaryChunk]], MuseReceiver]:
    receiver = MuseReceiver()
    eeg: list[Chunk] = []
    auxiliary: dict[str, list[AuxiliaryChunk]] = {}

    def take() -> None:
        eeg.extend(receiver.take_eeg())
        for chunk in receiver.take_auxiliary():
            auxiliary.setdefault(chunk.info.name, []).append(chunk)

    for each in notifications:
        receiver.feed(each.characteristic, each.data, each.at)
        take()
    receiver.flush()
    take()
    return eeg, auxiliary, receiver


def indices(chunks: Iterable[Chunk | AuxiliaryChunk]) -> list[int]:
    return [chunk.first + i for chunk in chunks for i in range(len(chunk.data))]


def check_values(chunks: list[Chunk], first: int) -> None:
    """Each sample is where its value says, in all channels; ``first`` is the first's packet."""
    for chunk in chunks:
        codes = np.round(chunk.data / UV_PER_BIT).astype(int) + 2048
        for i, row in enumerate(codes):
            packet, sample = divmod(chunk.first + i, 12)
            assert row.tolist() == [eeg_code(first + packet, part, sample) for part in range(4)]


def test_a_muse_2_gives_all_that_it_measures() -> None:
    eeg, auxiliary, receiver = receive(classic(10.0, first=65500))
    check_values(eeg, 65500)
    assert indices(eeg) == list(range(213 * 12))
    stamps = np.concatenate([chunk.timestamps for chunk in eeg])
    assert np.allclose(np.diff(stamps), 1 / 256, rtol=0.05)
    assert receiver.battery == 75.0

    rates = {name: chunks[0].info.sfreq for name, chunks in auxiliary.items()}
    assert rates == {"ppg": 64.0, "acceleration": 52.0, "rotation": 52.0}
    assert auxiliary["ppg"][0].info.ch_names == ("ambient", "infrared", "red")
    pulse = np.concatenate([chunk.data for chunk in auxiliary["ppg"]])
    assert pulse[:, 0].tolist() == list(range(106 * 6))
    assert np.array_equal(pulse[:, 2] - pulse[:, 0], np.full(106 * 6, 14))
    for name in ("acceleration", "rotation"):
        assert indices(auxiliary[name]) == list(range(173 * 3))
        ends = auxiliary[name][-1].timestamps[-1] - auxiliary[name][0].timestamps[0]
        assert ends == pytest.approx(173 * 3 / 52, abs=0.1)


def test_a_lost_notification_is_a_gap_of_twelve_samples_for_all() -> None:
    lost = [
        each
        for each in classic(4.0)
        if not (each.characteristic == EEG[2] and each.data[:2] == bytes([0, 30]))
    ]
    eeg, auxiliary, _ = receive(lost)
    check_values(eeg, 0)
    gap = set(range(30 * 12, 31 * 12))
    assert indices(eeg) == [k for k in range(85 * 12) if k not in gap]
    assert indices(auxiliary["ppg"]) == list(range(42 * 6))


def test_a_muse_may_send_two_pulse_channels_only() -> None:
    _, auxiliary, _ = receive(each for each in classic(4.0) if each.characteristic != PPG[0])
    pulse = np.concatenate([chunk.data for chunk in auxiliary["ppg"]])
    assert np.isnan(pulse[:, 0]).all()
    assert not np.isnan(pulse[:, 1:]).any()
    assert indices(auxiliary["ppg"]) == list(range(42 * 6))


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    first=st.sampled_from([0, 65510]),
    share=st.floats(0, 0.5),
    late=st.floats(0, 0.099),
)
def test_any_loss_delay_and_repeat_leaves_each_sample_in_its_place(
    seed: int, first: int, share: float, late: float
) -> None:
    rng = np.random.default_rng(seed)
    sent = [each for each in classic(3.0, first) if each.characteristic in EEG]
    n = len(sent)
    # The beginning is whole: the rest is counted from it.
    kept = (rng.random(n) >= share) | (np.arange(n) < 4)
    arrived = []
    for k in np.flatnonzero(kept).tolist():
        name, data, at = sent[k].characteristic, sent[k].data, sent[k].at
        at += rng.uniform(0, late) if k >= 4 else 0.0
        arrived.append(Notification(name, data, at))
        if rng.random() < 0.2:
            arrived.append(Notification(name, data, at + rng.uniform(0, 0.2)))
    eeg, _, _ = receive(sorted(arrived, key=lambda each: each.at))
    check_values(eeg, first)
    whole = np.flatnonzero(kept.reshape(-1, 4).all(axis=1)).tolist()
    assert indices(eeg) == [12 * k + i for k in whole for i in range(12)]
    stamps = np.concatenate([chunk.timestamps for chunk in eeg])
    assert (np.diff(stamps) > 0).all()


@pytest.mark.parametrize("preset", RECORDED)
def test_a_recording_without_losses_has_no_gap(shared_data: Path, preset: str) -> None:
    """The device's numbers say that neither recording lost anything; so no gap is found."""
    eeg, auxiliary, _ = receive(recorded(shared_data, preset))
    for found in (indices(eeg), *map(indices, auxiliary.values())):
        assert found == list(range(found[0], found[0] + len(found)))
    stamps = np.concatenate([chunk.timestamps for chunk in eeg])
    assert (np.diff(stamps) > 0).all()
    assert len(stamps) / (stamps[-1] - stamps[0]) == pytest.approx(256, rel=0.005)


@pytest.mark.parametrize("preset", RECORDED)
@pytest.mark.parametrize("lost", [range(200, 201), range(300, 307), range(100, 140)])
def test_what_is_taken_from_a_recording_is_found_as_a_gap(
    shared_data: Path, preset: str, lost: range
) -> None:
    whole = recorded(shared_data, preset)[:1000]
    part = [each for k, each in enumerate(whole) if k not in lost]
    full, _, _ = receive(whole)
    eeg, _, _ = receive(part)
    values = np.concatenate([chunk.data for chunk in full])
    for chunk in eeg:
        assert np.array_equal(chunk.data, values[chunk.first : chunk.end])
    missing = sorted(set(range(len(values))) - set(indices(eeg)))
    taken = [each for k, each in enumerate(whole) if k in lost]
    assert len(missing) == sum(len(chunk.data) for chunk in receive(taken)[0])
    assert missing == list(range(missing[0], missing[0] + len(missing)))


def test_random_losses_of_a_recording_are_found(shared_data: Path) -> None:
    rng = np.random.default_rng(14)
    whole = recorded(shared_data, "p20")
    values = np.concatenate([chunk.data for chunk in receive(whole)[0]])
    kept = [each for k, each in enumerate(whole) if k == 0 or rng.random() >= 0.05]
    eeg, _, _ = receive(kept)
    assert len(indices(eeg)) < len(values)
    for chunk in eeg:
        assert np.array_equal(chunk.data, values[chunk.first : chunk.end])


def test_the_athena_gives_microvolts_of_four_electrodes(shared_data: Path) -> None:
    eeg, auxiliary, receiver = receive(recorded(shared_data, "p1041"))
    values = np.concatenate([chunk.data for chunk in eeg])
    assert values.shape[1] == 4
    assert np.abs(values).max() <= 8192 * ATHENA_UV_PER_BIT
    assert len(auxiliary["ppg"][0].info.ch_names) == 16
    assert receiver.battery == pytest.approx(39.4, abs=0.1)


def test_what_nobody_takes_is_kept_for_a_minute_only() -> None:
    receiver = MuseReceiver()
    for each in classic(80.0):
        receiver.feed(each.characteristic, each.data, each.at)
    chunks = receiver.take_auxiliary()
    assert 59 < chunks[-1].timestamps[-1] - chunks[0].timestamps[0] < 61
    assert receiver.take_auxiliary() == []


@given(st.lists(st.tuples(st.sampled_from([*EEG, *PPG, *ATHENA]), st.binary(max_size=60))))
def test_noise_breaks_nothing(noise: list[tuple[str, bytes]]) -> None:
    receive(Notification(name, data, 0.01 * k) for k, (name, data) in enumerate(noise))

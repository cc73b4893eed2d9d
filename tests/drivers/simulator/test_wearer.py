"""The simulated wearer: the signal follows cues by as much as the URL says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from mimamba.drivers.driver import TakesCues
from mimamba.drivers.errors import BadSource
from mimamba.drivers.open import open_driver
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.drivers.simulator.wearer import Wearer


def band_power(samples: NDArray[np.float32], low: float, high: float) -> NDArray[np.float64]:
    """Power of each channel in dB."""
    f, power = signal.welch(samples, 256.0, nperseg=1024, axis=0)
    inside: NDArray[np.float64] = power[(f >= low) & (f < high)].sum(axis=0)
    return 10 * np.log10(inside)


def lived(wearer: Wearer, place: int | None, seconds: int) -> NDArray[np.float32]:
    """The signal in a state, without the ramp."""
    base = Synthesizer("wearer", 3, mains=0)
    wearer.cue(place)
    wearer.next(512)
    return base.next(seconds * 256) + wearer.next(seconds * 256)


def test_alpha_follows_the_first_state_and_muscle_the_second() -> None:
    wearer = Wearer(3, 256.0, effect=6.0, muscle=6.0, drift=0.0)
    neutral, first, second = (lived(wearer, place, 120) for place in (None, 0, 1))
    alpha = band_power(first, 9, 12) - band_power(neutral, 9, 12)
    assert ((alpha > 4) & (alpha < 9)).all()
    assert (abs(band_power(second, 9, 12) - band_power(neutral, 9, 12)) < 0.7).all()
    muscle = band_power(second, 24, 38) - band_power(neutral, 24, 38)
    assert (muscle[1:3] > 2).all()
    assert (abs(band_power(first, 24, 38) - band_power(neutral, 24, 38)) < 0.7).all()


def test_drift_goes_on_without_a_cue() -> None:
    wearer = Wearer(3, 256.0, effect=0.0, muscle=0.0, drift=10.0)
    early = lived(wearer, None, 60)
    for _ in range(480):
        wearer.next(256)
    late = lived(wearer, None, 60)
    assert (band_power(late, 9, 12) - band_power(early, 9, 12) > 3).all()


def test_the_same_cues_give_the_same_samples_however_they_are_cut() -> None:
    one, other = (Wearer(1, 256.0, 6.0, 3.0, 1.0) for _ in range(2))
    for each in (one, other):
        each.cue(0)
    whole = one.next(600)
    parts = np.concatenate([other.next(n) for n in (12, 88, 1, 499)])
    np.testing.assert_allclose(whole, parts, atol=1e-4)


def test_only_a_wearer_takes_these_parameters() -> None:
    driver = open_driver("simulate://?scenario=wearer&effect=3&muscle=2&drift=1")
    assert isinstance(driver, TakesCues)
    driver.cue("calm", 0)
    with pytest.raises(BadSource):
        open_driver("simulate://?scenario=tour&effect=3")
    with pytest.raises(BadSource):
        open_driver("simulate://?scenario=wearer&effect=-1")

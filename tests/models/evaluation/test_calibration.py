"""Temperatures: they undo a known overconfidence, and bear certainty."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.models.evaluation.calibration import apply_temperature, fit_probability_temperature
from mimamba.models.evaluation.metrics import calibration_error


def test_a_known_overconfidence_is_undone() -> None:
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(3), 4000)
    labels = np.array([rng.choice(3, p=p) for p in true])
    over = true**2.5 / (true**2.5).sum(1, keepdims=True)
    assert fit_probability_temperature(labels, over) == pytest.approx(2.5, rel=0.1)
    calibrated = apply_temperature(over, 2.5)
    assert calibrated == pytest.approx(true, abs=1e-6)
    assert calibration_error(labels, calibrated) < 0.5 * calibration_error(labels, over)


def test_a_probability_of_0_is_borne() -> None:
    certain = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    t = fit_probability_temperature(np.array([0, 1, 1]), certain)
    assert t > 5
    assert np.isfinite(apply_temperature(certain, t)).all()
    assert apply_temperature(certain, t).argmax(1).tolist() == [0, 1, 0]

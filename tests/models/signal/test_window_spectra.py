from __future__ import annotations

import numpy as np

from mimamba.models.signal.window_spectra import PART_BYTES, WindowTransform


def test_windows_of_several_parts_have_the_sums_of_each_alone() -> None:
    transform = WindowTransform(256.0)
    windows = [*(50.0 * np.random.default_rng(0).standard_normal((17, 4, 512)) + 1e4)]
    assert sum(each.nbytes for each in windows) > 2 * PART_BYTES
    inside = (transform.freqs >= 8.0) & (transform.freqs < 13.0)
    weights = transform.spread_weights(np.array([inside], np.float64))
    together = transform.sum_power(windows, weights, weights)
    alone = [transform.sum_power([each], weights, weights) for each in windows]
    for nth, whole in enumerate(together):
        assert whole.shape == (17, 4, 1)
        assert np.array_equal(whole, np.concatenate([each[nth] for each in alone]))

"""Ratings at any time: how a person feels, beside what was predicted before that was known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mimamba.drivers.driver import Marker
from mimamba.service.calibration.plan import Dimension
from mimamba.service.logs.epoch_logs import EpochLogs
from mimamba.service.protocol.personal import RatingEntry
from mimamba.service.sessions.session import Session

LEAST_RATINGS = 8
"""Ratings from which an agreement is shown."""
RESAMPLES = 1000
SHARES = (2.5, 97.5)
"""Percentiles of the bootstrap that bound an interval: 95 %."""
HIGH: dict[Dimension, str] = {"valence": "pleasant", "arousal": "strained"}
"""State on the high side of a dimension, in the contrasts that have names of their own."""
SOURCE = "rating"
"""Source of the markers of ratings."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of a person's ratings with what was predicted before them.

    ``spearman`` is a rank correlation, null if one side never changes; ``ccc`` is Lin's
    concordance, which is 0 for a constant prediction. Intervals (95 %) are drawn from runs of
    ratings.
    """

    n: int
    source: Literal["personal", "model"]
    spearman: float | None
    spearman_interval: tuple[float, float] | None
    ccc: float
    ccc_interval: tuple[float, float]


def add_rating(session: Session, valence: float, arousal: float) -> RatingEntry:
    """Log a rating, and set its marker; raises SessionOver."""
    entry = log_rating(session, valence, arousal)
    label = f"rating valence {valence:g} arousal {arousal:g}"
    session.log_marker(Marker(entry.timestamp, entry.index, label, SOURCE))
    return entry


def log_rating(session: Session, valence: float, arousal: float) -> RatingEntry:
    """Log a rating with the newest prediction before it; raises SessionOver."""
    logs = session.check_open()
    at = logs.prediction.next
    newest = logs.prediction.read(at - 1, at)
    published = newest[0][1] if newest else None
    index, timestamp = _place_now(session, logs)
    entry = RatingEntry(
        index,
        timestamp,
        valence,
        arousal,
        published.personal if published else None,
        published.prediction.outputs if published else None,
    )
    session.log_personal(entry)
    return entry


def _place_now(session: Session, logs: EpochLogs) -> tuple[int, float]:
    """Return the index and time of the sample of now, s; in a recording, of the newest one.

    The newest sample in the log of a live source may be more than half a second old.
    """
    now = session.now()
    if logs.signal.newest is None:
        return 0, now
    index, stamp = logs.signal.newest
    if not logs.info.live:
        return index, stamp
    return index + max(0, round((now - stamp) * logs.info.sfreq)), now


def ratings_of(session: Session) -> list[tuple[int, RatingEntry]]:
    """Return the ratings of a session's epoch with their numbers; raises SessionOver."""
    log = session.check_open().rating
    found = log.read(log.oldest, log.next)
    return [(seq, entry) for seq, entry in found if isinstance(entry, RatingEntry)]


def agreement_of(session: Session, dimension: Dimension) -> Agreement | None:
    """Compare the ratings of a session with what was predicted; None with fewer than eight.

    The personal output is compared if it tells this dimension's two sides apart, else the model's
    output of this name, if there is one.
    """
    entries = [entry for _, entry in ratings_of(session)]
    head = session.head
    source: Literal["personal", "model"] = "model"
    predicted = [_predicted(entry, dimension) for entry in entries]
    high = HIGH[dimension]
    if head is not None and head.dimension == dimension and high in head.kinds:
        source = "personal"
        predicted = [
            entry.personal.probabilities.get(high)
            if entry.personal and entry.personal.probabilities
            else None
            for entry in entries
        ]
    rated = [entry.valence if dimension == "valence" else entry.arousal for entry in entries]
    pairs = np.array(
        [(r, 100 * p) for r, p in zip(rated, predicted, strict=True) if p is not None], float
    ).reshape(-1, 2)
    if len(pairs) < LEAST_RATINGS:
        return None
    drawn = [pairs[rows] for rows in _draw_runs(len(pairs))]
    rank = _spearman(pairs)
    ranks = [each for each in map(_spearman, drawn) if each is not None]
    interval = _interval(ranks) if rank is not None and ranks else None
    concordances = [_concordance(each) for each in drawn]
    return Agreement(
        len(pairs), source, rank, interval, _concordance(pairs), _interval(concordances)
    )


def _predicted(entry: RatingEntry, dimension: Dimension) -> float | None:
    """Return a model's probability of the high side of a dimension."""
    return (entry.outputs or {}).get(dimension, {}).get("high")


def _draw_runs(n: int) -> list[NDArray[np.int64]]:
    """Draw runs of ratings again, as neighbours resemble each other."""
    rng = np.random.default_rng(0)
    length = max(2, round(n ** (1 / 3)))
    starts = rng.integers(0, n - length + 1, (RESAMPLES, -(-n // length)))
    rows = (starts[:, :, np.newaxis] + np.arange(length)).reshape(RESAMPLES, -1)
    return [*rows[:, :n]]


def _spearman(pairs: NDArray[np.float64]) -> float | None:
    if (pairs == pairs[0]).all(axis=0).any():
        return None
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)


def _concordance(pairs: NDArray[np.float64]) -> float:
    """Return Lin's concordance correlation coefficient."""
    (a, b), (va, vb) = pairs.mean(axis=0), pairs.var(axis=0)
    covariance = float(np.mean((pairs[:, 0] - a) * (pairs[:, 1] - b)))
    spread = float(va + vb + (a - b) ** 2)
    return 2 * covariance / spread if spread else 1.0


def _interval(values: list[float]) -> tuple[float, float]:
    low, high = np.percentile(values, SHARES)
    return float(low), float(high)

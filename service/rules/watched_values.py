"""Values that rules watch, from a session's entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum

from mimamba.models.signal.measures import BandPower, ChannelBands, Quality
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.personal import PersonalReading
from mimamba.service.rules.rule_file import Watched

GOOD_SCORE = 0.7
"""Score below which an electrode has no band power worth a rule."""


def predicted_value(watched: Watched, published: PublishedPrediction) -> float | None:
    """Return the probability that a rule watches; None where the model abstains."""
    if watched.kind == "personal":
        return _personal(watched, published.personal)
    return (published.prediction.outputs or {}).get(watched.name, {}).get(watched.label)


def _personal(watched: Watched, reading: PersonalReading | None) -> float | None:
    return (reading.probabilities or {}).get(watched.label) if reading else None


def band_value(
    watched: Watched, bands: BandPower, quality: Quality | None, used: Sequence[str]
) -> float | None:
    """Return the share of a band that a rule watches; None while an electrode is bad.

    Parameters
    ----------
    watched
        The band, and the electrode if it is one alone.
    bands, quality
        Of the same window; None where nothing could be judged in it.
    used
        Channels of the electrodes that count, if it is not one alone.
    """
    channels = [watched.label] if watched.label else used
    if quality is None:
        return None
    powers, shares = bands.channels, []
    for channel in channels:
        measured = quality.channels.get(channel)
        if measured is None or measured.score < GOOD_SCORE:
            return None
        shares.append(_share(powers, channel, watched.name))
    known = [each for each in shares if each is not None]
    return fsum(known) / len(known) if known and len(known) == len(shares) else None


def _share(channels: Mapping[str, ChannelBands], channel: str, band: str) -> float | None:
    """Return the share of a band in the power of 1 to 40 Hz."""
    bands = channels.get(channel)
    if bands is None:
        return None
    powers = {
        "delta": bands.delta,
        "theta": bands.theta,
        "alpha": bands.alpha,
        "beta": bands.beta,
        "gamma": bands.gamma,
    }
    power, total = powers[band], fsum(each or 0.0 for each in powers.values())
    return None if power is None or not total else power / total

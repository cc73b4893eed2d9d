"""A person's head for sessions of tests."""

from __future__ import annotations

from functools import cache

from mimamba.models.personal.fit_personal import PersonalFit, fit_personal
from mimamba.models.personal.head_file import encode_head
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.sessions.personal_decoder import ServedHead
from tests.models.personal.sittings import ALPHA, sitting


@cache
def made_fit() -> PersonalFit:
    """The calibration of a made sitting, whose states are told apart."""
    return fit_personal(*sitting(ALPHA))


def served_head(rest: float = 0.0) -> ServedHead:
    """A head to use in a session, after some seconds of rest."""
    fit = made_fit()
    card = HeadCard(
        id="20260727-101112-a1b2",
        person="P01",
        contrast="own",
        kinds=fit.settings.kinds,
        dimension=None,
        day="2026-07-27",
        verdict=fit.verdict.name,
        served="yes",
        sentence=fit.verdict.sentence,
        accuracy=0.75,
        interval=(0.625, 0.875),
        p=0.004,
        attempts=1,
        confirmed=True,
        right=0,
        checked=0,
        half_life=5.0,
        delay=8.3,
        usable=True,
    )
    return ServedHead(card, fit, encode_head(fit), rest)

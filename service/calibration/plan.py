"""The plan of a calibration: two states, blocks in pairs, and an order that is drawn in advance.

The order is fixed before the first block, and nobody sees it ahead. A hash of the drawn plan is
given out at the start, and the plan itself at the end, so that everyone can check it.
"""

from __future__ import annotations

import hashlib
import secrets
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta, Struct

from mimamba.drivers.errors import Mismatch
from mimamba.models.personal.verdict import LEAST_BLOCKS

Contrast: TypeAlias = Literal["calm-strained", "pleasant-unpleasant", "own"]
Dimension: TypeAlias = Literal["valence", "arousal"]

KINDS: dict[str, tuple[str, str]] = {
    "calm-strained": ("calm", "strained"),
    "pleasant-unpleasant": ("pleasant", "unpleasant"),
}
"""The two states of each contrast that has names of its own."""
DIMENSIONS: dict[str, Dimension] = {"calm-strained": "arousal", "pleasant-unpleasant": "valence"}
"""The rating by which a block of such a contrast is labelled."""
MOST_EXTRA = 3
"""Pairs that may follow the planned ones."""
NUMBERS = (400, 999)
"""Range of the number from which a person subtracts."""
STEPS = (7, 13)
"""Numbers to subtract."""


class PlanError(Mismatch):
    """Raised for a plan that cannot be carried out."""


class CalibrationPlan(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a calibration; a researcher's own plan is a TOML file of them.

    Parameters
    ----------
    contrast
        One of the two known contrasts, or ``own``.
    kinds
        Names of the two states; given for ``own`` only.
    dimension
        Rating that labels a block; None if the task does.
    pairs
        Pairs of blocks.
    seconds
        Length of a block, s.
    rest
        Good signal at rest before the first block, s.
    cue, pause
        Time before and after a block, s.
    """

    contrast: Contrast
    kinds: tuple[str, str] | None = None
    dimension: Dimension | None = None
    pairs: Annotated[int, Meta(ge=3, le=12)] = 6
    seconds: Annotated[float, Meta(ge=6, le=120)] = 30.0
    rest: Annotated[float, Meta(ge=10, le=600)] = 60.0
    cue: Annotated[float, Meta(ge=1, le=60)] = 6.0
    pause: Annotated[float, Meta(ge=1, le=60)] = 6.0


def complete_plan(plan: CalibrationPlan) -> CalibrationPlan:
    """Return a plan with the names and the rating of its contrast.

    Raises
    ------
    PlanError
        If the names do not fit the contrast, or there are too few pairs.
    """
    if plan.pairs < LEAST_BLOCKS:
        raise PlanError(
            f"at least {LEAST_BLOCKS} pairs, with which a verdict is possible",
            str(plan.pairs),
            "plan more",
        )
    if plan.contrast != "own":
        if plan.kinds not in (None, KINDS[plan.contrast]) or plan.dimension is not None:
            raise PlanError(
                f"no names of states and no dimension with {plan.contrast}",
                ", ".join(plan.kinds or ()) or str(plan.dimension),
                "choose the contrast own for these",
            )
        return msgspec.structs.replace(
            plan, kinds=KINDS[plan.contrast], dimension=DIMENSIONS[plan.contrast]
        )
    names = tuple(each.strip() for each in plan.kinds or ())
    if len(set(names)) != 2 or not all(_is_name(each) for each in names):
        raise PlanError(
            "two different names of states, of up to 40 letters each",
            " and ".join(repr(each) for each in names) or "none",
            "name them",
        )
    return msgspec.structs.replace(plan, kinds=(names[0], names[1]))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 40 and text.isprintable() and not set(text) & set(",=/\"'")


def read_plan(path: Path) -> CalibrationPlan:
    """Read a plan from a TOML file; raises PlanError."""
    try:
        plan = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), CalibrationPlan)
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or "no text"
        raise PlanError(f"a plan at {path}", found, "correct the path") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PlanError(f"a plan in TOML at {path}", str(error), "correct the file") from error
    return complete_plan(plan)


class BlockTask(Struct, frozen=True):
    """The task of a block; ``number`` and ``step`` are for a subtraction, else None."""

    kind: str
    number: int | None = None
    step: int | None = None


class DrawnPlan(Struct, frozen=True):
    """A plan with its order.

    Parameters
    ----------
    plan
        The settings.
    seed
        Seed of the order, drawn once; of 63 bits, so that the hash tells nobody the order.
    tasks
        Tasks of all blocks, those of further pairs included.
    """

    plan: CalibrationPlan
    seed: int
    tasks: tuple[BlockTask, ...]

    @property
    def text(self) -> str:
        """The drawn plan as text, whose hash is given out before."""
        return msgspec.json.encode(self).decode()

    @property
    def sha256(self) -> str:
        """Hash of the text, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


DECODER = msgspec.json.Decoder(CalibrationPlan)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


def draw_plan(plan: CalibrationPlan, seed: int | None = None) -> DrawnPlan:
    """Draw the order of a plan, which is complete; the same seed gives the same order."""
    # Its text, which is hashed, must be the same after a resume: whole numbers become floats.
    plan = DECODER.decode(msgspec.json.encode(plan))
    assert plan.kinds is not None
    seed = secrets.randbits(63) if seed is None else seed
    rng = np.random.default_rng(seed)
    tasks: list[BlockTask] = []
    for _ in range(plan.pairs + MOST_EXTRA):
        first = int(rng.integers(2))
        for place in (first, 1 - first):
            number = int(rng.integers(NUMBERS[0], NUMBERS[1] + 1))
            step = STEPS[int(rng.integers(len(STEPS)))]
            kind = plan.kinds[place]
            subtracts = plan.contrast == "calm-strained" and kind == "strained"
            tasks.append(BlockTask(kind, number, step) if subtracts else BlockTask(kind))
    return DrawnPlan(plan, seed, tuple(tasks))

"""The table [feedback] of a protocol: what people follow in its steps, and whose values it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, get_args

from mimamba.drivers.errors import Mismatch
from mimamba.service.feedback.wanted_feedback import (
    MOST_IN_BLOCK,
    MOST_RECORDINGS,
    PEOPLE_IN_BLOCK,
    FeedbackValues,
    WantedFeedback,
)
from mimamba.service.rules.rule_file import watched_quantity
from mimamba.service.storage.checked_toml import TomlField, number_field, shown, table_mistakes

VALUES: Final = get_args(FeedbackValues)
QUANTITY: Final = "OUTPUT/LABEL, personal/STATE, band/BAND or band/BAND/ELECTRODE"
BACK: Final = 0.05
"""Way back beyond the threshold before feedback ends, if the table says none."""


def _is_quantity(value: object) -> bool:
    watched = watched_quantity(value) if isinstance(value, str) else None
    return watched is not None and watched.kind != "link"


def _are_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MOST_RECORDINGS
        and all(isinstance(each, str) and each for each in value)
    )


def _is_block(value: object) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 2 <= value <= MOST_IN_BLOCK
        and value % 2 == 0
    )


FIELDS: Final[Mapping[str, TomlField]] = {
    "quantity": TomlField(QUANTITY, _is_quantity),
    "above": number_field(0, 1),
    "below": number_field(0, 1),
    "back": number_field(0, 1),
    "values": TomlField(f"one of {', '.join(VALUES)}", lambda value: value in VALUES),
    "recordings": TomlField(f"1 to {MOST_RECORDINGS} names of recordings", _are_names),
    "block": TomlField(f"an even number of people from 2 to {MOST_IN_BLOCK}", _is_block),
}
"""Fields of the table."""


def feedback_mistakes(
    found: Mapping[str, Any], where: str, error: type[Mismatch]
) -> Iterator[tuple[str, Mismatch]]:
    """Yield each mistake of the table with its field; ``error`` is made of each."""
    place = f"the table [feedback] of {where}"
    wrong = set()
    for field, mistake in table_mistakes(found, FIELDS, place, error):
        assert field is not None  # it is a table
        wrong.add(field)
        yield field, mistake
    sides = [side for side in ("above", "below") if side in found]
    if len(sides) != 1:
        given = " and ".join(sides) or "neither"
        yield "above", error(f"a threshold, above or below, in {place}", given, "give one")
    if "quantity" not in found:
        yield "quantity", error(f"a quantity in {place}", "none", f"name {QUANTITY}")
    if "values" in wrong:
        return
    values = found.get("values", "real")
    if (values == "real") is ("recordings" in found):
        wanted = "no recordings" if values == "real" else "recordings for a sham"
        mistake = error(
            f"{wanted} with the values {shown(values)} in {place}",
            "some" if values == "real" else "none",
            "remove them" if values == "real" else "name some",
        )
        yield "recordings", mistake
    if "block" in found and values != "balanced":
        expected = f"block only with the values 'balanced' in {place}"
        yield "block", error(expected, shown(values), "remove it")


def make_feedback(found: Mapping[str, Any]) -> WantedFeedback:
    """Make the feedback of a table without a mistake; it is always blind."""
    side: Literal["above", "below"] = "above" if "above" in found else "below"
    return WantedFeedback(
        found["quantity"],
        side,
        float(found[side]),
        float(found.get("back", BACK)),
        found.get("values", "real"),
        tuple(found.get("recordings", ())),
        blind=True,
        block=found.get("block", PEOPLE_IN_BLOCK),
    )

"""Rules in a TOML file, checked completely before the service starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from mimamba.drivers.errors import Mismatch
from mimamba.models.signal.measures import BANDS
from mimamba.service.bridges.broker_address import is_topic
from mimamba.service.storage.checked_toml import (
    TomlField,
    check_table,
    load_toml,
    number_field,
    text_field,
)

Kind: TypeAlias = Literal["output", "personal", "band", "link"]

MOST_RULES = 100
LINK = "link/lost"
"""The quantity that is 1 while the link to the headset is lost, and 0 else."""
LONGEST = 3600.0
"""Longest time of a rule, s."""
MOST_LABEL = 200
"""Characters of a marker; sessions take 256."""
MOST_PAYLOAD = 1000
"""Characters of what is published."""
WHEN: Final = "OUTPUT/LABEL, personal/STATE, band/BAND, band/BAND/ELECTRODE or link/lost"


class BadRule(Mismatch):
    """A file of rules has a mistake."""


@dataclass(frozen=True)
class Watched:
    """A quantity that a rule watches: all from 0 to 1.

    Parameters
    ----------
    kind
        Probability of an output's label or of a personal state, share of a band in the power of 1
        to 40 Hz, or whether the link is lost.
    name
        The output, or the band.
    label
        The label or state; the electrode of a band, empty for the mean of all.
    """

    kind: Kind
    name: str = ""
    label: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Parameters
    ----------
    name
        For the log.
    when
        The quantity, as in the file.
    watched
        The same, understood.
    side, at
        Whether the value must be above or below ``at``, 0 to 1.
    back
        Way back beyond ``at`` before the rule can hold again.
    seconds
        Time for which it must hold in a row, s.
    cooldown
        Least time between two actions, s.
    session
        Id of its session; None for all.
    webhook, osc, mqtt, marker
        URL to post to, HOST:PORT to send to, topic to publish to, label to set; at least one is
        given.
    mqtt_payload
        Text to publish; None for the same JSON as to the webhook.
    """

    name: str
    when: str
    watched: Watched
    side: Literal["above", "below"]
    at: float
    back: float = 0.0
    seconds: float = 0.0
    cooldown: float = 0.0
    session: str | None = None
    webhook: str | None = None
    osc: str | None = None
    mqtt: str | None = None
    mqtt_payload: str | None = None
    marker: str | None = None

    def holds(self, value: float | None, before: bool) -> bool:
        """Return whether a value meets the rule; None, where the model abstains, never does."""
        if value is None:
            return False
        height, limit = (value, self.at) if self.side == "above" else (-value, -self.at)
        return height >= (limit - self.back if before else limit)


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^\s/:]+:\d{1,5}", value) is not None


FIELDS: Final[Mapping[str, TomlField]] = {
    "name": text_field(MOST_LABEL),
    "when": TomlField(
        WHEN, lambda value: isinstance(value, str) and watched_quantity(value) is not None
    ),
    "above": number_field(0, 1),
    "below": number_field(0, 1),
    "back": number_field(0, 1),
    "for": number_field(0, LONGEST),
    "cooldown": number_field(0, LONGEST),
    "session": text_field(MOST_LABEL),
    "webhook": TomlField("an address such as http://127.0.0.1:1880/calm", _is_url),
    "osc": TomlField("HOST:PORT", _is_address),
    "mqtt": TomlField("a topic such as home/calm, without '+' and '#'", is_topic),
    "mqtt_payload": text_field(MOST_PAYLOAD),
    "marker": text_field(MOST_LABEL),
}
"""Fields of a rule."""
ACTIONS = ("webhook", "osc", "mqtt", "marker")


def read_rules(path: Path) -> list[Rule]:
    """Read a file of rules.

    Raises
    ------
    BadRule
        If it cannot be read, or has a mistake; the first one is named with its rule and field.
    """
    where = path.name
    found = load_toml(path, "rules", BadRule)
    rules = found.pop("rule", None)
    if found:
        name = next(iter(found))
        raise BadRule(f"nothing but [[rule]] in {where}", f"the field {name!r}", "remove it")
    if not isinstance(rules, list) or not 0 < len(rules) <= MOST_RULES:
        count = "none" if rules is None else "another value"
        raise BadRule(f"one to {MOST_RULES} [[rule]] in {where}", count, "write them so")
    return [_rule(each, number, where) for number, each in enumerate(rules, 1)]


def check_rules(rules: Sequence[Rule], has_broker: bool) -> None:
    """Raise BadRule if a rule publishes over MQTT and the service has no broker."""
    for rule in rules:
        if rule.mqtt is not None and not has_broker:
            raise BadRule(
                f"a broker for the field mqtt of {rule.name}", "none", "name one with --mqtt-out"
            )


def _rule(given: object, number: int, file: str) -> Rule:
    where = f"rule {number} of {file}"
    found = check_table(given, FIELDS, where, BadRule)
    watched = watched_quantity(found["when"]) if "when" in found else None
    if watched is None:
        raise BadRule(f"the field when in {where}", "none", f"name {WHEN}")
    sides = [side for side in ("above", "below") if side in found]
    if watched.kind == "link":
        if sides:
            raise BadRule(f"neither above nor below with {LINK} in {where}", sides[0], "remove it")
    elif len(sides) != 1:
        raise BadRule(
            f"either above or below in {where}", " and ".join(sides) or "neither", "give one"
        )
    if not any(action in found for action in ACTIONS):
        raise BadRule(f"{', '.join(ACTIONS[:-1])} or {ACTIONS[-1]} in {where}", "none", "add one")
    if "mqtt_payload" in found and "mqtt" not in found:
        raise BadRule(f"the field mqtt with mqtt_payload in {where}", "none", "name a topic")
    side: Literal["above", "below"] = "below" if sides == ["below"] else "above"
    return Rule(
        found.get("name", f"rule {number}"),
        found["when"],
        watched,
        side,
        float(found[side]) if sides else 0.5,
        float(found.get("back", 0)),
        float(found.get("for", 0)),
        float(found.get("cooldown", 0)),
        found.get("session"),
        found.get("webhook"),
        found.get("osc"),
        found.get("mqtt"),
        found.get("mqtt_payload"),
        found.get("marker"),
    )


def watched_quantity(when: str) -> Watched | None:
    """Understand the name of a quantity, as in ``when``; None if it is not valid."""
    if when == LINK:
        return Watched("link")
    first, *others = when.split("/")
    if not first or not others or not all(others) or first == "link":
        return None
    if first == "band":
        known = others[0] in BANDS and len(others) <= 2
        return Watched("band", others[0], others[1] if len(others) == 2 else "") if known else None
    if len(others) != 1:
        return None
    return Watched("personal" if first == "personal" else "output", first, others[0])

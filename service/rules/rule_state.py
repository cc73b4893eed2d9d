"""The state of a rule from one value to the next: the same live and in a dry run."""

from __future__ import annotations

from math import inf

from mimamba.service.rules.rule_file import Rule

LONGEST_STEP = 5.0
"""Longest time between two values of a row, s: over a gap nothing holds."""


class RuleState:
    """Decides when a rule acts: once for each time that it comes to hold long enough.

    Parameters
    ----------
    rule
        The rule.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._since: float | None = None
        self._last = -inf
        self._acted = False
        self._acted_at = -inf

    def step(self, at: float, value: float | None) -> bool:
        """Take a value, and return whether the rule acts now.

        Parameters
        ----------
        at
            Its time, s; one that goes back starts over.
        value
            From 0 to 1; None where there is none.
        """
        follows = 0 <= at - self._last <= LONGEST_STEP
        if at < self._last:
            self._acted_at = -inf
        self._last = at
        if not self.rule.holds(value, before=self._since is not None and follows):
            self._since, self._acted = None, False
            return False
        if self._since is None or not follows:
            self._since, self._acted = at, False
        if (
            self._acted
            or at - self._since < self.rule.seconds
            or at - self._acted_at < self.rule.cooldown
        ):
            return False
        self._acted, self._acted_at = True, at
        return True

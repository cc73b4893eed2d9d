"""Grades of contact that an app sends for each electrode, as remarks.

Mind Monitor's horseshoe is 1 (good), 2 (medium) or 4 (bad) for each electrode. How that comes about
is not documented, so it is passed on as what the app says, and no quality is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

BAD = 4.0
"""Grade of an electrode without contact (Mind Monitor, OSC Specification)."""
HOLD_SECONDS = 3.0
"""Time for which a grade must stay the same before it is worth a remark, s."""


class ContactRemarks:
    """Remarks about electrodes that lose contact, or have it again, as an app grades them.

    Parameters
    ----------
    app
        Name of the app, for people.
    electrodes
        Labels of the grades.
    """

    def __init__(self, app: str, electrodes: Sequence[str]) -> None:
        self._app = app
        self._electrodes = tuple(electrodes)
        self._remarked: set[str] = set()
        """Electrodes that were remarked on as bad."""
        self._since: dict[str, float] = {}
        """Time since which an electrode differs from what was remarked, s."""

    def push(self, grades: Sequence[float], now: float) -> list[str]:
        """Take a grade of each electrode, received at ``now``, s; return the remarks due."""
        found = []
        for name, grade in zip(self._electrodes, grades, strict=False):
            bad = grade >= BAD
            if bad == (name in self._remarked):
                self._since.pop(name, None)
            elif now - self._since.setdefault(name, now) >= HOLD_SECONDS:
                del self._since[name]
                self._remarked ^= {name}
                found.append(name)
        lost = [name for name in found if name in self._remarked]
        again = [name for name in found if name not in self._remarked]
        remarks = [f"{self._app} reports bad contact at {', '.join(lost)}"] if lost else []
        if again:
            remarks.append(f"{self._app} reports contact at {', '.join(again)} again")
        return remarks

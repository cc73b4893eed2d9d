"""drivers/formats/writing.py."""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.drivers.errors import DriverError


class CannotWrite(DriverError):
    """A recording does not fit into the format asked for, or into the place."""


@dataclass(frozen=True)
class WriteResult:
    """What a person should know of a file that was written.

    Parameters
    ----------
    lsb
        The file's least significant bit, µV, that of its coarsest channel; values are off by at
        most half of it. None where the format holds float32, and so all values as they are.
    notices
        One sentence each.
    """

    lsb: float | None = None
    notices: tuple[str, ...] = ()

"""drivers/errors.py."""

from __future__ import annotations


class UserError(Exception):
    """An error that a person can mend: one clear line, no traceback."""


class Mismatch(UserError):
    """What was wanted, what was found, what to do."""

    def __init__(self, wanted: str, found: str, remedy: str) -> None:
        super().__init__(wanted, found, remedy)
        self.wanted = wanted
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        return f"wanted {self.wanted}; found {self.found}; {self.remedy}"


class DriverError(Mismatch):
    """A source cannot be used, or not any more."""


class BadSource(DriverError):
    """The source's URL names a scheme, board or parameter that does not exist."""


class BadChannels(DriverError):
    """The channels asked for are not among those of the source."""


class BadRecording(DriverError):
    """A file cannot be read as a recording."""


class BadPlayback(DriverError):
    """A recording has no such position or marker, or cannot be played at such a speed."""


class DeviceNotFound(DriverError):
    """No headset, board or stream answers."""


class LibraryMissing(DriverError):
    """A vendor's library is not installed, or does not load on this machine."""


class StreamLost(DriverError):
    """A live link that worked is gone."""

"""Errors that a person can fix.

UserError
└── Mismatch             expected, found, what to do
    └── DriverError
        ├── BadSource        the source's URL is wrong: scheme, board, parameter
        ├── BadChannels      the channels asked for are not there
        ├── BadRecording     a file is unreadable, empty, cut off or of another format
        ├── BadPlayback      a recording has no such position, marker or speed
        ├── DeviceNotFound   the headset, board or stream does not answer
        ├── LibraryMissing   a vendor's library is not installed or does not load
        ├── StreamLost       a live connection that worked is gone
        │   └── WrongStream  another device answers in its place
        ├── BadSamples       a remote acquirer sent a malformed packet
        └── CannotWrite      a recording cannot be written in this format
"""

from __future__ import annotations


class UserError(Exception):
    """An error that a person can fix: it is shown as one line, without a traceback."""


class Mismatch(UserError):
    """An error in three parts.

    Parameters
    ----------
    expected, found
        Noun phrases without a full stop.
    remedy
        An instruction in the imperative, in lower case, without a full stop.
    """

    def __init__(self, expected: str, found: str, remedy: str) -> None:
        super().__init__(expected, found, remedy)
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        remedy = self.remedy[:1].upper() + self.remedy[1:]
        stop = "" if remedy.endswith(("?", ".")) else "."
        return f"Expected {self.expected}, but found {self.found}. {remedy}{stop}"


class DriverError(Mismatch):
    """A source cannot be used, or can no longer be used."""


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
    """A live connection that worked is gone."""


class WrongStream(StreamLost):
    """Another device, with other channels or another rate, answers in place of the lost one."""


class BadSamples(DriverError):
    """A packet from a remote acquirer is malformed; packets before and after it are unaffected."""


class CannotWrite(DriverError):
    """A recording does not fit the format asked for, or its place is taken or full."""

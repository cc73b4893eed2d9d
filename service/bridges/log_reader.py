"""Position of an output in a session's logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mimamba.service.logs.epoch_logs import EpochLogs, Event
from mimamba.service.sessions.session import Session
from mimamba.service.topics import Topic


class LogReader:
    """Reader of a session's logs, from now on.

    Parameters
    ----------
    session
        Its source is open.
    topics
        Logs to read, in this order. An entry comes after all those of topics before its own that
        were logged before it: bands after the quality of their window.

    Attributes
    ----------
    logs
        The logs of the entry that was returned last.
    """

    def __init__(self, session: Session, topics: Sequence[Topic]) -> None:
        assert session.logs is not None
        self._session = session
        self.logs: EpochLogs = session.logs
        self._at = {topic: self.logs.log(topic).next for topic in topics}

    def new_entries(self) -> Iterator[Event]:
        """Return new entries of the logs, also those of a next epoch."""
        return (entry for _, entry in self.numbered_entries())

    def numbered_entries(self) -> Iterator[tuple[int, Event]]:
        """Return new entries with the ``seq`` of each, also those of a next epoch."""
        present = self._session.logs
        yield from self._read_logs()
        if present is not None and present is not self.logs:
            self.logs, self._at = present, dict.fromkeys(self._at, 0)
            yield from self._read_logs()

    def _read_logs(self) -> Iterator[tuple[int, Event]]:
        # The ends are looked up from the last topic on, as others log meanwhile.
        ends = {topic: self.logs.log(topic).next for topic in reversed(self._at)}
        for topic in self._at:
            for seq, entry in self.logs.events(topic).read(self._at[topic], ends[topic]):
                self._at[topic] = seq + 1
                yield seq, entry

"""The sessions of a running service, and the engines that they share."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from drivers import open_source
from drivers.base import Mendable, StreamInfo
from drivers.source import parse_source
from models.checkpoint import load_checkpoint
from models.montage import Electrode
from service.engine import Engine
from service.history import LinkEntry
from service.hub import Hub
from service.messages import Model
from service.people import People
from service.session import Connect, Session, State
from service.whose import Whose


class NoSession(LookupError):
    """No session has this id."""


class SessionTaken(ValueError):
    """A session has this id already."""


class SessionFailed(Mendable):
    """A session's source or model could not be opened; the message is the reason."""


@dataclass(frozen=True)
class SessionView:
    """A session as the API shows it."""

    id: str
    state: State
    reason: str | None
    source: str
    epoch: str | None
    info: StreamInfo | None
    model: Model | None
    outputs: dict[str, list[str]] | None
    montage: list[Electrode] | None
    delay: float | None
    link: LinkEntry | None
    seekable: bool
    battery: float | None
    person: str | None


def view(session: Session) -> SessionView:
    """A session's present facts."""
    speaker = session.speaker
    return SessionView(
        session.name,
        session.state,
        session.reason,
        session.url,
        session.history.epoch if session.history else None,
        session.info,
        speaker.model,
        speaker.outputs,
        speaker.montage,
        speaker.delay,
        session.link,
        session.seekable is not None,
        session.battery,
        session.whose.person,
    )


@dataclass(frozen=True)
class ModelChoice:
    """Which model a session gets.

    Parameters
    ----------
    name
        A checkpoint's name or path; None watches the signal only.
    required
        Whether a montage that the source cannot meet is an error.
    memory
        Whether the state is carried from hop to hop (the checkpoint's r); else r = 0.
    """

    name: str | None
    required: bool
    memory: bool = True


class Sessions:
    """Opens, finds and closes sessions; lives on the event loop."""

    def __init__(self, hub: Hub, default: ModelChoice, people: People | None = None) -> None:
        self.default = default
        self._hub = hub
        self._people = people
        self._sessions: dict[str, Session] = {}
        self._engines: dict[str, Engine] = {}
        self._engines_lock = threading.Lock()
        self._closed = False
        self._opened = 0

    def all(self) -> dict[str, Session]:
        """The sessions by id."""
        return self._sessions

    def get(self, name: str) -> Session:
        """One session; raises NoSession."""
        if name not in self._sessions:
            there = ", ".join(sorted(self._sessions)) or "none"
            raise NoSession(f"wanted a session; found no {name!r}; there are: {there}")
        return self._sessions[name]

    @property
    def failure(self) -> BaseException | None:
        """Why an engine is dead, where one is."""
        return next((e.failure for e in self._engines.values() if e.failure), None)

    async def open(
        self,
        url: str,
        name: str | None = None,
        choice: ModelChoice | None = None,
        connect: Connect = open_source,
        person: str | None = None,
    ) -> Session:
        """Open a session, a person's where one is named, and wait until its source is there.

        Raises
        ------
        DriverError
            If the URL is wrong, or the source cannot be opened.
        MontageError, SignalError
            If a required model cannot use the source.
        SessionTaken
            If the id is taken.
        CheckpointError
            If there is no such model.
        PersonRefused, DamagedPerson, CannotKeep
            If that person cannot be named so, or their file not be read or written.
        SessionFailed
            If it was closed while it opened, or ended by an error of ours.

        No session is left then.
        """
        choice = choice or self.default
        name = self._name(url, name)
        engine, r = await self.engine_of(choice)
        if self._people and person is not None:
            await asyncio.to_thread(self._people.name, person)
        whose = Whose(self._people, person)
        session = Session(name, url, engine, choice.required, r, self._hub, connect, whose)
        if name in self._sessions:
            raise SessionTaken(f"wanted a new id; found that {name!r} is taken; choose another")
        self._sessions[name] = session
        self._hub.add(session)
        session.start()
        await self._hub.opened(session)
        if session.history is None:
            await self._end(session)
            if session.error is not None:
                raise session.error
            raise SessionFailed(session.reason or "the session was closed while it opened")
        return session

    async def engine_of(self, choice: ModelChoice) -> tuple[Engine | None, float]:
        """The engine of a choice, where it has a model, and the gate at each hop's start.

        Raises
        ------
        CheckpointError
            If there is no such model.
        SessionFailed
            If the service ends.
        """
        engine = await asyncio.to_thread(self._engine, choice.name) if choice.name else None
        return engine, engine.checkpoint.r if engine and choice.memory else 0.0

    def _name(self, url: str, name: str | None) -> str:
        """The id asked for, or one made of the source's kind and a number."""
        source = parse_source(url)
        if name is not None:
            return name
        kind = (source.place if source.scheme == "brainflow" else "") or source.scheme
        while name is None or name in self._sessions:
            self._opened += 1
            name = f"{kind}-{self._opened}"
        return name

    def _engine(self, model: str) -> Engine:
        """The engine of a checkpoint, started at its first use."""
        with self._engines_lock:
            if self._closed:
                raise SessionFailed("wanted a running service; found that it ends; start it again")
            if model not in self._engines:
                self._engines[model] = Engine(load_checkpoint(model))
            return self._engines[model]

    async def close(self, name: str) -> None:
        """End a session and forget it; raises NoSession."""
        await self._end(self.get(name))

    async def _end(self, session: Session) -> None:
        """End a session; whoever of several is the first to have ended it forgets it."""
        await asyncio.to_thread(session.close)
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]
            self._hub.remove(session)

    async def close_all(self) -> None:
        """End everything, the engines last."""
        await asyncio.gather(*(self._end(each) for each in list(self._sessions.values())))
        await asyncio.to_thread(self._close_engines)

    def _close_engines(self) -> None:
        """Also one that is only being loaded now: whoever loads it holds the lock."""
        with self._engines_lock:
            self._closed = True
            for engine in self._engines.values():
                engine.close()

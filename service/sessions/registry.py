"""The registry of a service's sessions, with the compute loop and the engines that they share."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import UserError
from mimamba.drivers.open import Connect, open_source
from mimamba.drivers.url import parse_source
from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
from mimamba.models.checkpoints.names import DEFAULT_MODEL, NO_MODEL
from mimamba.models.decoding.decoder import StreamingDecoder
from mimamba.models.detection.event_kinds import EventKind
from mimamba.models.inference.device import Device
from mimamba.models.signal.channel_meters import ChannelMeters
from mimamba.models.signal.electrode import Electrode
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.loop import ComputeLoop
from mimamba.service.logs.epoch_logs import LinkEntry
from mimamba.service.people.people import People
from mimamba.service.people.subject import RecordedBaseline, Subject
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.sessions.model_choice import ModelChoice
from mimamba.service.sessions.saved_session import SavedSession
from mimamba.service.sessions.sensor_poller import SensorPoller
from mimamba.service.sessions.session import Session, SessionObserver, State
from mimamba.service.topics import Model


class NoSession(LookupError):
    """There is no session with this id."""


class SessionTaken(ValueError):
    """There is a session with this id already."""


class SessionFailed(UserError):
    """The session's source or model could not be opened; the message is the reason."""


class RegistryObserver(SessionObserver, Protocol):
    """An observer of all sessions; these further calls are made on the event loop."""

    def add(self, session: Session) -> None:
        """Observe a session that is about to start."""
        ...

    async def opened(self, session: Session) -> None:
        """Wait until a session is open, or has failed to open."""
        ...

    def remove(self, session: Session) -> None:
        """Forget a session that has ended."""
        ...


@dataclass(frozen=True)
class SessionView:
    """A session as the API shows it; ``title`` is that of the recording that it plays."""

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
    head: HeadCard | None
    title: str | None = None


def view_session(session: Session, title: str | None = None) -> SessionView:
    """View a session as it is now."""
    active_model = session.active_model
    return SessionView(
        session.name,
        session.state,
        session.reason,
        session.url,
        session.logs.epoch if session.logs else None,
        session.info,
        active_model.model,
        active_model.outputs,
        active_model.montage,
        active_model.delay,
        session.link,
        session.seekable is not None,
        session.battery,
        session.subject.person,
        session.head,
        title,
    )


class SessionRegistry:
    """Opens, finds and closes sessions; used on the event loop.

    Parameters
    ----------
    observer
        Notified of everything new in any session.
    default
        The model of a session that asks for none.
    models
        The folder of one's own checkpoints, found by their names.
    people
        The people and their baselines; None stores nothing.
    device
        The device that steps models; the CPU by default.
    """

    def __init__(
        self,
        observer: RegistryObserver,
        default: ModelChoice,
        models: Path | None = None,
        people: People | None = None,
        device: Device | None = None,
        detect: Sequence[EventKind] = (),
    ) -> None:
        self.default = default
        self._detect = detect
        self._device = device or Device()
        self._models = models
        self._observer = observer
        self._people = people
        self._sessions: dict[str, Session] = {}
        self._loop = ComputeLoop[Session](observer.notify_round)
        self._poller = SensorPoller[Session](lambda news: observer.notify_round(news, ()))
        self._engines: dict[str, Engine] = {}
        self._engines_lock = threading.Lock()
        self.ending = False
        """True once the service ends: no session is opened any more."""
        self.loading: Counter[str] = Counter()
        """The models that sessions wait for."""
        self._opened = 0

    def all(self) -> dict[str, Session]:
        """The sessions by id."""
        return self._sessions

    def get(self, name: str) -> Session:
        """Return one session; raises NoSession."""
        if name not in self._sessions:
            there = ", ".join(sorted(self._sessions)) or "none"
            raise NoSession(f"Expected a session, but found no {name!r}. There are: {there}.")
        return self._sessions[name]

    def engines(self) -> dict[str, Engine]:
        """The engines by the names or paths of their checkpoints."""
        return dict(self._engines)

    @property
    def failure(self) -> BaseException | None:
        """The error that ended an engine, if any."""
        return next((e.failure for e in self._engines.values() if e.failure), None)

    async def open(
        self,
        url: str,
        name: str | None = None,
        choice: ModelChoice | None = None,
        connect: Connect = open_source,
        person: str | None = None,
        recorded: RecordedBaseline | None = None,
        notices: Sequence[str] = (),
    ) -> Session:
        """Open a session, of a person if one is named, and wait until its source is open.

        Parameters
        ----------
        url
            The source.
        name
            Its id; None makes one.
        choice
            Its model; None is the service's.
        connect
            Makes the driver.
        person
            A pseudonym; None for a person who is not known.
        recorded
            The baseline of the recording that the source plays.
        notices
            Remarks about the source, which people are shown with its own.

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
        DeviceError
            If a required device cannot step it.
        PersonRefused, DamagedPerson, CannotKeep
            If the name is not valid, or the person's file cannot be read or written.
        SessionFailed
            If it was closed while it opened, or ended by an internal error.

        After an error there is no such session.
        """
        choice = choice or self.default
        name = self._name(url, name)
        subject = await self._subject(person, recorded)
        return await self._open(url, name, choice, connect, subject, notices=notices)

    async def _subject(self, person: str | None, recorded: RecordedBaseline | None) -> Subject:
        """Return the person of a session, known to the service from now on."""
        if self._people and person is not None:
            await asyncio.to_thread(self._people.add, person)
        return Subject(self._people, person, recorded)

    async def restore(
        self,
        name: str,
        choice: ModelChoice,
        connect: Connect,
        saved: SavedSession | None,
        token: str,
        subject: Subject | None = None,
    ) -> Session:
        """Open a session of a remote source that another process has begun, or begin it.

        Parameters
        ----------
        name
            Its id.
        choice
            The model that it had.
        connect
            Makes the driver.
        saved
            Its state in that process; None begins it.
        token
            A word for its epochs' names.
        subject
            Its person; that of the state, if there is one.

        Raises
        ------
        SessionTaken, CheckpointError, DeviceError, MontageError, SignalError, SessionFailed
            As ``open``.
        SnapshotError
            If the state is of another model.
        """
        subject = subject or Subject(self._people)
        return await self._open("push://", name, choice, connect, subject, saved, token)

    async def _open(
        self,
        url: str,
        name: str,
        choice: ModelChoice,
        connect: Connect,
        subject: Subject,
        saved: SavedSession | None = None,
        token: str | None = None,
        notices: Sequence[str] = (),
    ) -> Session:
        engine, r = await self.engine_of(choice)
        session = Session(
            name,
            url,
            self._loop,
            engine,
            choice.required,
            r,
            self._observer,
            connect,
            subject,
            saved=saved,
            token=token,
            poller=self._poller,
            detect=self._detect,
            notices=notices,
        )
        self._check_free(name)
        self._sessions[name] = session
        self._observer.add(session)
        session.start()
        await self._observer.opened(session)
        if session.logs is None:
            await self._end(session)
            if session.error is not None:
                raise session.error
            raise SessionFailed(session.reason or "the session was closed while it opened")
        return session

    async def ready(self, name: str, patience: float | None = None) -> None:
        """Prepare the logs of a session for a reader: those of this process always are ready."""

    async def prepare_model(self, session: Session, choice: ModelChoice) -> Callable[[], None]:
        """Load a model; return the call, for another thread, by which a session uses it.

        Raises as ``engine_of``; the call raises as ``Session.set_model``.
        """
        engine, r = await self.engine_of(choice)
        return partial(session.set_model, engine, r)

    async def engine_of(self, choice: ModelChoice) -> tuple[Engine | None, float]:
        """Return the engine of a choice, if it has a model, and the gate at each hop's start.

        Raises
        ------
        CheckpointError
            If there is no such model.
        DeviceError
            If a required device cannot step it.
        SessionFailed
            If the service ends.
        """
        engine = await self._load(choice.name) if choice.name else None
        return engine, engine.checkpoint.r if engine and choice.memory else 0.0

    async def warm_up(self) -> None:
        """Load the default model and decode with it once, so that a session begins at once.

        Raises as ``engine_of``.
        """
        engine, _ = await self.engine_of(self.default)
        if engine is not None:
            await asyncio.to_thread(decode_noise, engine.checkpoint)

    def _check_free(self, name: str) -> None:
        """Raise SessionTaken where a session has this id; nothing opens in a stopping service."""
        self._check_running()
        if name in self._sessions:
            raise SessionTaken(
                f"Expected a new id, but found that {name!r} is taken. Choose another."
            )

    def _name(self, url: str, name: str | None) -> str:
        """Return the id asked for, or one made of the source's kind and a number."""
        source = parse_source(url)
        if name is not None:
            return name
        kind = (source.target if source.scheme == "brainflow" else "") or source.scheme
        while name is None or name in self._sessions:
            self._opened += 1
            name = f"{kind}-{self._opened}"
        return name

    async def _load(self, model: str) -> Engine:
        """Load the engine of a checkpoint; ``loading`` names the model meanwhile."""
        self.loading[model] += 1
        try:
            return await asyncio.to_thread(self._engine, model)
        finally:
            self.loading -= Counter([model])  # which drops the name with the last one

    def _check_running(self) -> None:
        """Raise SessionFailed if the service ends."""
        if self.ending:
            raise SessionFailed(
                "Expected a running service, but found that it is shutting down. Start it again."
            )

    def _engine(self, model: str) -> Engine:
        """Return the engine of a checkpoint, started at its first use."""
        with self._engines_lock:
            self._check_running()
            if model not in self._engines:
                checkpoint = load_checkpoint(model, self._models)
                stepper = self._device.make_stepper(checkpoint.network)
                self._engines[model] = Engine(checkpoint, stepper)
            return self._engines[model]

    async def close(self, name: str) -> None:
        """End a session and forget it; raises NoSession."""
        await self._end(self.get(name))

    async def _end(self, session: Session) -> None:
        """End a session; of several callers, the first that has ended it forgets it."""
        await asyncio.to_thread(session.close)
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]
            self._observer.remove(session)

    async def close_all(self, within: float | None = None) -> list[str]:
        """End everything, the compute loop last.

        Parameters
        ----------
        within
            Seconds for the sessions to end; None waits for all.

        Returns
        -------
        list of str
            The sessions that had not ended by then.
        """
        self.ending = True
        sessions = list(self._sessions.values())
        for each in sessions:  # all first: only few threads can wait for their ends
            await asyncio.to_thread(each.stop)
        ends = {asyncio.create_task(self._end(each), name=each.name) for each in sessions}
        hanging = (await asyncio.wait(ends, timeout=within))[1] if ends else set()
        if not hanging:
            await asyncio.to_thread(self._loop.close)
            await asyncio.to_thread(self._poller.close)
        return sorted(each.get_name() for each in hanging)


def decode_noise(checkpoint: Checkpoint) -> None:
    """Decode some noise: what is imported and compiled at the first hop is there then."""
    sfreq, seconds = 256.0, 2 * checkpoint.signal.window / checkpoint.signal.sfreq
    info = StreamInfo("Noise", "noise", sfreq, tuple(checkpoint.montage))
    n_times = round(seconds * sfreq)
    data = np.random.default_rng(0).normal(0, 10, (n_times, info.n_channels)).astype(np.float32)
    StreamingDecoder(checkpoint, info).feed(Chunk(data, np.arange(n_times) / sfreq, 0))
    ChannelMeters(info).feed(Chunk(data, np.arange(n_times) / sfreq, 0))


def choose_model(name: str | None, memory: bool) -> ModelChoice:
    """Choose a model by name, required if one is named; otherwise the default."""
    if name == NO_MODEL:
        return ModelChoice(None, required=False)
    return ModelChoice(name or DEFAULT_MODEL, required=name is not None, memory=memory)

"""The web application: REST API under /v1, the stream, health, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from mimamba.models.inference.device import Device, find_device
from mimamba.service.api.baselines import baselines_api
from mimamba.service.api.dependencies import ServiceState
from mimamba.service.api.health import health_api
from mimamba.service.api.login import login_api, tokens_api
from mimamba.service.api.markers import markers_api
from mimamba.service.api.models import models_api
from mimamba.service.api.people import people_api
from mimamba.service.api.personal.feedback import feedback_api
from mimamba.service.api.personal.heads import heads_api
from mimamba.service.api.personal.ratings import ratings_api
from mimamba.service.api.personal.session_calibrations import calibration_api
from mimamba.service.api.personal.session_studies import studies_api
from mimamba.service.api.personal.study_protocols import protocols_api
from mimamba.service.api.recordings import recordings_api
from mimamba.service.api.replay import replay_api
from mimamba.service.api.sessions import sessions_api
from mimamba.service.api.shutdown import RECORDINGS_SECONDS, SESSIONS_SECONDS, Shutdown
from mimamba.service.api.sources import sources_api
from mimamba.service.api.stream import stream_api
from mimamba.service.api.uploads import uploads_api
from mimamba.service.api.workers import workers_api
from mimamba.service.auth.authenticator import Authenticator
from mimamba.service.auth.issued_tokens import IssuedTokens
from mimamba.service.auth.scopes import ScopeMiddleware, methods_of
from mimamba.service.auth.stranger_limit import StrangerMiddleware
from mimamba.service.auth.tokens import Tokens
from mimamba.service.auth.websocket_auth import GRACE
from mimamba.service.bridges.lsl_out import LSLOut
from mimamba.service.bridges.osc_out import OSCOut
from mimamba.service.bridges.udp_markers import UDPMarkers
from mimamba.service.bus.connect import connect_bus
from mimamba.service.calibration.calibrations import Calibrations
from mimamba.service.calibration.heads import Heads
from mimamba.service.cluster.failover.bus_contact import BusContact
from mimamba.service.cluster.failover.bus_feedback import BusFeedback
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.failover.bus_studies import BusStudies
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.feedback.allocations import Allocations
from mimamba.service.feedback.feedback_runs import FeedbackRuns
from mimamba.service.feedback.sham_recordings import ShamRecordings
from mimamba.service.http.allowance import StrangerAllowances
from mimamba.service.http.body_limit import BodyLimitMiddleware
from mimamba.service.http.host_and_origin import HostAndOriginMiddleware
from mimamba.service.http.page import mount_page
from mimamba.service.http.proxy import ProxyMiddleware
from mimamba.service.http.shutting_down import ShutdownMiddleware
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.mqtt.broker import find_broker
from mimamba.service.mqtt.mqtt_out import MQTTOut
from mimamba.service.people.people import People, people_folder
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.recordings.retention import Retention
from mimamba.service.recordings.upload import Uploads
from mimamba.service.recordings.upload_check import MAX_MEMORY, MAX_SECONDS
from mimamba.service.rules.rule_file import read_rules
from mimamba.service.rules.rules_runner import RulesRunner
from mimamba.service.server.error_statuses import add_problem_handlers
from mimamba.service.server.openapi import describe_access
from mimamba.service.server.prometheus import make_registry
from mimamba.service.sessions.registry import SessionRegistry, choose_model
from mimamba.service.sessions.remote_sources import RemoteSources
from mimamba.service.settings.settings import Settings
from mimamba.service.storage.folders import data_folder
from mimamba.service.storage.own_checkpoints import models_folder
from mimamba.service.stream.hub import Hub
from mimamba.service.studies.studies import Studies


@dataclass(frozen=True)
class Limits:
    """Limits of the service that no person needs to set.

    Parameters
    ----------
    auth_seconds
        Time in which a WebSocket must send a token.
    upload_seconds, upload_memory
        For the process that reads an upload: seconds, and bytes of address space.
    recordings_seconds, sessions_seconds
        Time from the start of the shutdown in which recordings and sessions must end.
    """

    auth_seconds: float = GRACE
    upload_seconds: float = MAX_SECONDS
    upload_memory: int = MAX_MEMORY
    recordings_seconds: float = RECORDINGS_SECONDS
    sessions_seconds: float = SESSIONS_SECONDS


LIMITS = Limits()


class ConnectionState(TypedDict):
    """State of the service that each connection has."""

    counters: ServiceCounters
    strangers: StrangerAllowances


def make_app(
    settings: Settings,
    on_start: Callable[[ServiceState], Awaitable[None]],
    tokens: Tokens | None = None,
    limits: Limits = LIMITS,
    device: Device | None = None,
) -> FastAPI:
    """Create the application.

    Parameters
    ----------
    settings
        Of the service.
    on_start
        Runs beside the application as soon as it can open sessions.
    tokens
        Default: ``Settings.tokens``.
    limits
        Timeouts and sizes.
    device
        For the models. Default: as in the settings.

    Raises
    ------
    DeviceError
        If the device in the settings does not exist.
    CannotKeepTokens
        If the file of issued tokens is damaged.
    """
    device = device or find_device(settings.device, settings.precision)
    strangers = StrangerAllowances()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[ConnectionState]:
        folder = data_folder(settings.data_dir)
        hub = Hub()
        people = People(people_folder(folder))
        calibrations = Calibrations(people, people_folder(folder))
        models = models_folder(settings.data_dir)
        default = choose_model(settings.model, settings.memory)
        bus = None if settings.bus is None else await connect_bus(settings.bus, "mimamba gateway")
        sessions = (
            SessionRegistry(hub, default, models, people, device, settings.detect)
            if bus is None
            else BusSessions(hub, default, bus, people)
        )
        recordings = await _make_recordings(folder, sessions)
        feedback = _make_feedback(sessions, recordings)
        allocations = Allocations(people, folder / "allocations")
        studies = _make_studies(
            settings.studies or folder / "studies", sessions, recordings, feedback, allocations
        )
        remote_sources = RemoteSources(
            sessions, lambda name, memory: choose_model(name or settings.model, memory)
        )
        shutdown = Shutdown(
            recordings, remote_sources, sessions, limits.recordings_seconds, limits.sessions_seconds
        )
        app.state.running = running = ServiceState(
            settings,
            hub,
            sessions,
            recordings,
            people,
            calibrations,
            Heads(calibrations),
            studies,
            feedback,
            remote_sources,
            shutdown,
        )
        udp = UDPMarkers(sessions.all)
        mqtt = make_mqtt(settings, sessions)
        app.state.sham_recordings = ShamRecordings(recordings)
        app.state.registry = make_registry(hub, sessions, recordings, udp, mqtt)
        await asyncio.to_thread(recordings.recover)
        app.state.uploads = uploads = Uploads(
            folder, settings.upload_mib << 20, limits.upload_seconds, limits.upload_memory
        )
        await asyncio.to_thread(uploads.clear)
        outputs = make_outputs(settings, sessions, mqtt)
        for output in outputs:
            output.start()
        port = settings.udp_markers
        listener = await udp.listen(port) if port is not None else None
        async with asyncio.TaskGroup() as tasks:
            hub_task = tasks.create_task(hub.run())
            following = [
                tasks.create_task(each) for each in _background(settings, running, bool(outputs))
            ]
            start = tasks.create_task(_start(on_start, running))
            try:
                yield {"counters": hub.counters, "strangers": strangers}
            finally:
                await asyncio.to_thread(studies.close)
                await asyncio.to_thread(feedback.close)
                await shutdown()
                await asyncio.to_thread(calibrations.close)
                start.cancel()
                if listener is not None:
                    listener.close()
                for output in outputs:
                    await asyncio.to_thread(output.close)
                hub_task.cancel()
                for each in following:
                    each.cancel()
                await asyncio.gather(*following, return_exceptions=True)
                if bus is not None:
                    await bus.close()

    app = FastAPI(
        title="mimamba",
        version=version("mimamba"),
        summary="Live emotion predictions from consumer EEG. Not a medical device.",
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.issued = IssuedTokens(data_folder(settings.data_dir))
    app.state.authenticator = Authenticator(tokens or settings.tokens(), app.state.issued)
    app.state.strangers = strangers
    app.state.auth_seconds = limits.auth_seconds
    app.state.root_path = settings.root_path
    app.state.read_lock, app.state.archive_lock = asyncio.Lock(), asyncio.Lock()
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(ScopeMiddleware, authenticator=app.state.authenticator)
    if settings.allowed_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origin,
            allow_methods=("GET", "HEAD", "POST", "PUT", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "If-Match", "If-None-Match"),
            allow_private_network=True,
            expose_headers=("Content-Disposition", "ETag", "Retry-After", "WWW-Authenticate"),
        )
    app.add_middleware(
        HostAndOriginMiddleware, allowed=settings.host_names, origins=settings.allowed_origin
    )
    app.add_middleware(
        StrangerMiddleware, authenticator=app.state.authenticator, allowances=strangers
    )
    app.add_middleware(ShutdownMiddleware)  # before the others; only the page's headers come first
    add_problem_handlers(app, methods_of)
    for router in (
        sources_api,
        models_api,
        sessions_api,
        stream_api,
        recordings_api,
        uploads_api,
        replay_api,
        login_api,
        tokens_api,
        markers_api,
        baselines_api,
        people_api,
        calibration_api,
        heads_api,
        ratings_api,
        protocols_api,
        studies_api,
        feedback_api,
        workers_api,
        health_api,
    ):
        # As they are: `include_router` builds each route anew for every application, at the first
        # request. That is 0.2 s of Python, in which hundreds of hops of 500 sessions were late.
        app.router.routes.extend(router.routes)
    mount_page(app, settings.allowed_origin)
    app.add_middleware(
        ProxyMiddleware, is_trusted=settings.is_trusted_proxy, root_path=settings.root_path
    )
    describe_access(app, settings.root_path)
    return app


async def _make_recordings(folder: Path, sessions: SessionRegistry) -> Recordings:
    """Create the recordings, those that others write on a bus included."""
    if not isinstance(sessions, BusSessions):
        return Recordings(folder)
    made = BusRecordings(folder, sessions.bus, sessions.name, sessions.find)
    await made.load()
    return made


def _make_studies(
    folder: Path,
    sessions: SessionRegistry,
    recordings: Recordings,
    feedback: FeedbackRuns,
    allocations: Allocations,
) -> Studies:
    """Create the studies, which over a bus go on at another service."""
    if not isinstance(sessions, BusSessions) or not isinstance(recordings, BusRecordings):
        return Studies(folder, recordings, feedback, allocations)
    return BusStudies(
        folder, recordings, sessions.bus, sessions.name, sessions.find, feedback, allocations
    )


def _make_feedback(sessions: SessionRegistry, recordings: Recordings) -> FeedbackRuns:
    """Create the feedback for studies, which over a bus goes on at another service."""
    if not isinstance(sessions, BusSessions) or not isinstance(recordings, BusRecordings):
        return FeedbackRuns(recordings)
    return BusFeedback(recordings, sessions.bus, sessions.name, sessions.find)


def make_mqtt(settings: Settings, sessions: SessionRegistry) -> MQTTOut | None:
    """Create the output to an MQTT broker, if the settings name one."""
    broker = find_broker(settings, settings.discovery)
    return (
        None
        if broker is None
        else MQTTOut(sessions.all, broker, lambda: sessions.ending, public_url=settings.public_url)
    )


def make_outputs(
    settings: Settings, sessions: SessionRegistry, mqtt: MQTTOut | None
) -> list[LSLOut | OSCOut | RulesRunner | MQTTOut]:
    """Create the outputs to other programs, not yet started; they end in this order, too."""
    outputs: list[LSLOut | OSCOut | RulesRunner | MQTTOut] = []
    if settings.lsl_out:
        outputs.append(LSLOut(sessions.all))
    if settings.osc_out is not None:
        outputs.append(OSCOut(sessions.all, settings.osc_out))
    if settings.rules is not None:
        outputs.append(RulesRunner(sessions.all, read_rules(settings.rules), mqtt))
    if mqtt is not None:
        outputs.append(mqtt)
    return outputs


def _background(
    settings: Settings, running: ServiceState, has_outputs: bool
) -> Iterator[Coroutine[None, None, None]]:
    """Return what runs beside the requests until it is cancelled."""
    sessions, recordings = running.sessions, running.recordings
    if isinstance(sessions, BusSessions):
        yield sessions.run()
        yield BusContact(sessions.bus, running.hub, sessions.catch_up).run()
        if has_outputs:
            yield sessions.fill_logs()
    if isinstance(recordings, BusRecordings):
        yield recordings.run()
    if isinstance(running.studies, BusStudies):
        yield running.studies.run()
    if isinstance(running.feedback, BusFeedback):
        yield running.feedback.run()
    if settings.keep is not None:
        urls = _sources_in_use(settings, sessions)
        yield Retention(recordings, settings.keep, urls).run()


def _sources_in_use(settings: Settings, sessions: SessionRegistry) -> Callable[[], list[str]]:
    """Return a function that lists the sources of all sessions, and those still to be opened."""
    return lambda: [*settings.source, *(each.url for each in list(sessions.all().values()))]


async def _start(
    on_start: Callable[[ServiceState], Awaitable[None]], running: ServiceState
) -> None:
    await on_start(running)

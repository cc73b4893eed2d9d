"""The web service: REST under /v1, the stream, health, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from mimamba.models.inference.device import Device, find_device
from mimamba.service.api.baselines import baseline_api
from mimamba.service.api.dependencies import ServiceState
from mimamba.service.api.exports import export_api
from mimamba.service.api.health import health, metrics
from mimamba.service.api.login import login_api
from mimamba.service.api.markers import markers_api
from mimamba.service.api.models import model_api
from mimamba.service.api.people import people_api
from mimamba.service.api.protocol_schema import schema_api
from mimamba.service.api.recordings import recordings_api
from mimamba.service.api.replay import replay_api
from mimamba.service.api.sessions import api
from mimamba.service.api.shutdown import Shutdown
from mimamba.service.api.timeline import timeline_api
from mimamba.service.api.uploads import upload_api
from mimamba.service.auth.authenticator import Authenticator
from mimamba.service.auth.scopes import ScopeMiddleware, methods_of
from mimamba.service.auth.tokens import Tokens
from mimamba.service.auth.websocket_auth import GRACE
from mimamba.service.bridges.lsl_out import LSLOut
from mimamba.service.bridges.osc_out import OSCOut
from mimamba.service.bridges.udp_markers import UDPMarkers
from mimamba.service.http.body_limit import BodyMiddleware
from mimamba.service.http.host_and_origin import AccessMiddleware
from mimamba.service.http.page import mount_page
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.http.shutting_down import ShutdownMiddleware
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.people.people import People, people_folder
from mimamba.service.recordings.library import Recordings
from mimamba.service.recordings.upload import Uploads
from mimamba.service.server.error_statuses import add_problem_handlers
from mimamba.service.server.prometheus import make_registry
from mimamba.service.sessions.registry import SessionRegistry, choose_model
from mimamba.service.sessions.remote_sources import RemoteSources
from mimamba.service.settings.settings import Settings
from mimamba.service.storage.folders import data_folder
from mimamba.service.storage.models import models_folder
from mimamba.service.stream.hub import Hub


def make_app(
    settings: Settings,
    on_start: Callable[[ServiceState], Awaitable[None]],
    tokens: Tokens | None = None,
    grace: float = GRACE,
    device: Device | None = None,
) -> FastAPI:
    """The application.

    Parameters
    ----------
    settings
        What the service is told.
    on_start
        Runs beside the application once it can open sessions.
    tokens
        What must be shown, as ``Settings.tokens`` where absent.
    grace
        Seconds that a WebSocket has to show a token.
    device
        Where models are stepped, as the settings say where absent.

    Raises
    ------
    DeviceError
        If models cannot be stepped where the settings say.
    """
    device = device or find_device(settings.device, settings.precision)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ServiceCounters]]:
        hub = Hub()
        recordings = Recordings(data_folder(settings.data_dir))
        people = People(people_folder(data_folder(settings.data_dir)))
        models = models_folder(settings.data_dir)
        default = choose_model(settings.model, settings.memory)
        sessions = SessionRegistry(hub, default, models, people, device)
        pushes = RemoteSources(
            sessions, lambda name, memory: choose_model(name or settings.model, memory)
        )
        end = Shutdown(recordings, pushes, sessions)
        app.state.running = running = ServiceState(
            settings, hub, sessions, recordings, people, pushes, end
        )
        udp = UDPMarkers(sessions.all)
        app.state.registry = make_registry(hub, sessions, recordings, udp)
        await asyncio.to_thread(recordings.recover)
        app.state.uploads = uploads = Uploads(
            data_folder(settings.data_dir), settings.upload_mib << 20
        )
        await asyncio.to_thread(uploads.clear)
        outs = make_outs(settings, sessions)
        for out in outs:
            out.start()
        port = settings.udp_markers
        heard = await udp.listen(port) if port is not None else None
        async with asyncio.TaskGroup() as tasks:
            beats = tasks.create_task(hub.run())
            start = tasks.create_task(_start(on_start, running))
            try:
                yield {"counters": hub.counters}
            finally:
                await end()
                start.cancel()
                if heard is not None:
                    heard.close()
                for out in outs:
                    await asyncio.to_thread(out.close)
                beats.cancel()

    app = FastAPI(
        title="mimamba",
        version=version("mimamba"),
        summary="Live emotion predictions from consumer EEG. Not a medical device.",
        lifespan=lifespan,
        responses=PROBLEMS,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.door = Authenticator(tokens or settings.tokens())
    app.state.grace = grace
    app.state.exporting = asyncio.Lock()
    app.add_middleware(BodyMiddleware)
    app.add_middleware(ScopeMiddleware, door=app.state.door)
    app.add_middleware(AccessMiddleware, allowed=settings.allowed_host)
    app.add_middleware(ShutdownMiddleware)  # before the others; only the policy stands around it
    add_problem_handlers(app, methods_of)
    app.include_router(api)
    app.include_router(recordings_api)
    app.include_router(export_api)
    app.include_router(upload_api)
    app.include_router(replay_api)
    app.include_router(timeline_api)
    app.include_router(login_api)
    app.include_router(markers_api)
    app.include_router(model_api)
    app.include_router(baseline_api)
    app.include_router(people_api)
    app.include_router(schema_api)
    app.include_router(health)
    app.include_router(metrics)
    mount_page(app)
    return app


def make_outs(settings: Settings, sessions: SessionRegistry) -> list[LSLOut | OSCOut]:
    """What carries results out beside the stream, not yet started."""
    outs: list[LSLOut | OSCOut] = [LSLOut(sessions.all)] if settings.lsl_out else []
    if settings.osc_out is not None:
        outs.append(OSCOut(sessions.all, settings.osc_out))
    return outs


async def _start(
    on_start: Callable[[ServiceState], Awaitable[None]], running: ServiceState
) -> None:
    await on_start(running)

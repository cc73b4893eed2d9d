"""The web service: REST under /v1, the stream, health, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, WebSocket
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from drivers.scan import Sources, scan
from models.catalogue import Listed, list_all
from models.device import Device, find_device
from service.access import AccessMiddleware
from service.admission import admit
from service.baseline_api import baseline_api
from service.body import BodyMiddleware
from service.connection import Connection
from service.door import Door
from service.ending import End
from service.export_api import export_api
from service.farewell import FarewellMiddleware
from service.gate import GRACE, let_in
from service.health import metrics, unready
from service.hub import Hub
from service.login_api import login_api
from service.lslout import LSLOut
from service.markers_api import markers_api
from service.metrics import make_registry
from service.model_api import model_api
from service.oscout import OSCOut
from service.ownfile import NAME
from service.page import mount_page
from service.people import People, people_folder
from service.people_api import people_api
from service.problems import PROBLEMS, add_problem_handlers, problem
from service.push import Pushes
from service.recordings import Recordings
from service.recordings_api import recordings_api
from service.replay_api import replay_api
from service.room import data_folder
from service.schema_api import schema_api
from service.scopes import ScopeMiddleware, allows, judgement_of, methods_of
from service.sessions import ModelChoice, Sessions, SessionView, view
from service.settings import DEFAULT_MODEL, NO_MODEL, Settings
from service.shelf import MODEL_NAME, models_folder
from service.tally import Totals
from service.timeline_api import timeline_api
from service.tokens import Tokens
from service.udpmarkers import UDPMarkers
from service.upload import Uploads
from service.upload_api import upload_api

SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

SessionId = Annotated[str, Path(pattern=SESSION_ID)]


@dataclass
class Running:
    """What a running service consists of."""

    settings: Settings
    hub: Hub
    sessions: Sessions
    recordings: Recordings
    people: People
    pushes: Pushes
    end: End


async def _running(connection: HTTPConnection) -> Running:
    running: Running = connection.app.state.running
    return running


Service = Annotated[Running, Depends(_running)]


class NewSession(BaseModel):
    """A session to open."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(max_length=2048, examples=["simulate://?scenario=tour"])
    id: str | None = Field(default=None, pattern=SESSION_ID)
    model: str | None = Field(
        default=None,
        pattern=f"^{MODEL_NAME}$",
        description="A checkpoint's name; 'none' watches the signal only; the default if absent.",
    )
    memory: bool = Field(default=True, description="Carry the model's state from hop to hop.")
    person: str | None = Field(default=None, pattern=f"^{NAME}$", description="A pseudonym.")


api = APIRouter(prefix="/v1")


@api.get("/sources")
def list_sources(
    timeout: Annotated[float, Query(ge=0.1, le=10.0, description="Seconds to listen.")] = 5.0,
) -> Sources:
    """Headsets that are near, LSL streams on the network, boards known, the Bluetooth adapter.

    Below 1 s nothing is listened for by Bluetooth.
    """
    return scan(timeout)


@api.get("/models")
def list_models(service: Service) -> list[Listed]:
    """The package's checkpoints and the person's own; each tells how good it is."""
    return list_all(models_folder(service.settings.data_dir))


@api.get("/sessions")
async def list_sessions(service: Service) -> list[SessionView]:
    """All sessions."""
    return [view(session) for session in service.sessions.all().values()]


@api.post("/sessions", status_code=201)
async def open_session(service: Service, new: NewSession) -> SessionView:
    """Open a session; answers when its source is there."""
    source = admit(new.source, service.settings.files, service.recordings)
    choice = choose_model(new.model or service.settings.model, new.memory)
    return view(await service.sessions.open(source, new.id, choice, person=new.person))


@api.get("/sessions/{session}")
async def read_session(service: Service, session: SessionId) -> SessionView:
    """One session."""
    return view(service.sessions.get(session))


@api.delete("/sessions/{session}", status_code=204)
async def close_session(service: Service, session: SessionId) -> None:
    """End a session and forget it."""
    await service.sessions.close(session)


@api.websocket("/stream")
async def stream(socket: WebSocket, service: Service) -> None:
    """Wire protocol v1."""
    server = f"mimamba {version('mimamba')}"
    rights = await let_in(socket, socket.app.state.door, socket.app.state.grace)
    if rights is not None:
        hub, sessions = service.hub, service.sessions.all
        await Connection(socket, rights, hub, sessions, server, service.pushes).serve()


health = APIRouter(include_in_schema=False)


@health.get("/healthz")
async def healthz(request: Request, service: Service) -> dict[str, str | int]:
    """The process answers, and says how busy it is to whom that concerns."""
    if not allows(judgement_of(request), "view"):
        return {"status": "ok"}
    sessions, subscribers = len(service.sessions.all()), service.hub.subscribers
    return {"status": "ok", "sessions": sessions, "subscribers": subscribers}


@health.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """200 where the service can predict; 503 while it starts or where an engine is dead."""
    running: Running | None = getattr(request.app.state, "running", None)
    reason = "the service is starting" if running is None else unready(running.sessions)
    if reason is None:
        return JSONResponse({"status": "ok"})
    told = reason if allows(judgement_of(request), "view") else "ask with a token for the reason"
    return problem(503, "Not ready", told)


def choose_model(name: str | None, memory: bool) -> ModelChoice:
    """A model by name: required where it was asked for, the default where it was not."""
    if name == NO_MODEL:
        return ModelChoice(None, required=False)
    return ModelChoice(name or DEFAULT_MODEL, required=name is not None, memory=memory)


def make_app(
    settings: Settings,
    on_start: Callable[[Running], Awaitable[None]],
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
    NoDevice
        If models cannot be stepped where the settings say.
    """
    device = device or find_device(settings.device, settings.precision)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Totals]]:
        hub = Hub()
        recordings = Recordings(data_folder(settings.data_dir))
        people = People(people_folder(data_folder(settings.data_dir)))
        models = models_folder(settings.data_dir)
        default = choose_model(settings.model, settings.memory)
        sessions = Sessions(hub, default, models, people, device)
        pushes = Pushes(sessions, lambda name, memory: choose_model(name or settings.model, memory))
        end = End(recordings, pushes, sessions)
        app.state.running = running = Running(
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
                yield {"totals": hub.totals}
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
    app.state.door = Door(tokens or settings.tokens())
    app.state.grace = grace
    app.state.exporting = asyncio.Lock()
    app.add_middleware(BodyMiddleware)
    app.add_middleware(ScopeMiddleware, door=app.state.door)
    app.add_middleware(AccessMiddleware, allowed=settings.allowed_host)
    app.add_middleware(FarewellMiddleware)  # before the others; only the policy stands around it
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


def make_outs(settings: Settings, sessions: Sessions) -> list[LSLOut | OSCOut]:
    """What carries results out beside the stream, not yet started."""
    outs: list[LSLOut | OSCOut] = [LSLOut(sessions.all)] if settings.lsl_out else []
    if settings.osc_out is not None:
        outs.append(OSCOut(sessions.all, settings.osc_out))
    return outs


async def _start(on_start: Callable[[Running], Awaitable[None]], running: Running) -> None:
    await on_start(running)

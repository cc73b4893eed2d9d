"""Status and title of each error of the REST API, as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mimamba.drivers.errors import (
    BadChannels,
    BadPlayback,
    BadRecording,
    BadSource,
    CannotWrite,
    DriverError,
)
from mimamba.models.checkpoints.checkpoint import CheckpointError
from mimamba.models.inference.device import DeviceError
from mimamba.models.signal.montage import MontageError
from mimamba.models.signal.preprocessing import SignalError
from mimamba.service.acquire.bus_acquirer import ClusterFull
from mimamba.service.api.login import CannotShare, OnlyOwners
from mimamba.service.api.recordings import Unblinds
from mimamba.service.api.replay import NoReplay
from mimamba.service.api.sources import NotAdmitted
from mimamba.service.auth.issued_tokens import CannotKeepTokens, NoToken, TokenRefused
from mimamba.service.bus.bus import NotStored
from mimamba.service.calibration.calibrations import CalibrationRefused, NoCalibration
from mimamba.service.calibration.plan import PlanError
from mimamba.service.calibration.sittings import CannotCalibrate, NoSitting, SittingTaken
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.engine.engine import EngineStopped
from mimamba.service.feedback.allocations import BadAllocation
from mimamba.service.feedback.feedback_runs import BadFeedback, NoFeedback
from mimamba.service.http.problem import problem
from mimamba.service.people.people import CannotKeep, DamagedPerson, NoPerson, PersonRefused
from mimamba.service.recording_contents.marker_editing import BadPosition, EditRefused, NoMarker
from mimamba.service.recordings.recordings import NoRecording, RecordingRefused, RecordingTaken
from mimamba.service.recordings.upload import UploadTooLong
from mimamba.service.sessions.markers import BadLabel, BadTimestamp
from mimamba.service.sessions.registry import NoSession, SessionFailed, SessionTaken
from mimamba.service.sessions.session import SessionOver
from mimamba.service.sessions.session_decoder import NoBaseline
from mimamba.service.settings.marker_meanings import BadMarkers
from mimamba.service.storage.folders import CannotRecord
from mimamba.service.studies.protocol_file import BadStudy, NoStudy
from mimamba.service.studies.study_folder import (
    CannotKeepStudy,
    StudyChanged,
    StudyMistakes,
    StudyRefused,
)

RETRY_SECONDS = 5
"""After which a client may try again where workers are full."""
STATUSES: dict[type[Exception], tuple[int, str]] = {
    DriverError: (424, "The source cannot be opened"),
    BadSource: (422, "The source's URL is not valid"),
    BadChannels: (422, "The source lacks these channels"),
    BadRecording: (422, "The recording cannot be read"),
    CannotWrite: (422, "The recording cannot be written in this format"),
    BadMarkers: (422, "The recording cannot be written in this format"),
    MontageError: (422, "The model cannot use the source"),
    SignalError: (422, "The model cannot use the source"),
    BadPlayback: (422, "The recording cannot be played like this"),
    CheckpointError: (422, "The model cannot be used"),
    DeviceError: (503, "The device for the model is missing"),
    OnlyOwners: (403, "Not allowed"),
    Unblinds: (403, "The token does not allow this"),
    CannotShare: (409, "Other devices cannot watch"),
    NoToken: (404, "No such token"),
    TokenRefused: (409, "The token cannot be issued"),
    CannotKeepTokens: (507, "The tokens cannot be written"),
    NotAdmitted: (403, "The API may not open this source"),
    BadLabel: (422, "The label is not valid"),
    BadTimestamp: (422, "The timestamp is not valid"),
    NoSession: (404, "No such session"),
    SessionTaken: (409, "The id is taken"),
    SessionFailed: (424, "The session could not be opened"),
    NoReplay: (409, "The session plays no recording"),
    SessionOver: (409, "The session is not open"),
    EngineStopped: (503, "The model has failed"),
    NoRecording: (404, "No such recording"),
    NoMarker: (404, "No such marker"),
    BadPosition: (422, "The position is not valid"),
    EditRefused: (409, "Not possible with this marker"),
    RecordingTaken: (409, "The recording exists already"),
    RecordingRefused: (409, "Not possible with this session or recording"),
    UploadTooLong: (413, "The upload is too long"),
    CannotRecord: (507, "The recording cannot be written"),
    NoBaseline: (409, "Not possible with this session"),
    NoPerson: (404, "No such person"),
    PersonRefused: (409, "Not possible with this person"),
    DamagedPerson: (409, "The person's file cannot be read"),
    PlanError: (422, "The plan cannot be carried out"),
    NoCalibration: (404, "No such calibration"),
    NoSitting: (404, "No such calibration or head"),
    CalibrationRefused: (409, "Not possible with this calibration"),
    NotNow: (409, "Not possible in this phase"),
    BadStudy: (422, "The study has a mistake"),
    NoStudy: (404, "No such study"),
    BadAllocation: (507, "The study's allocation cannot be kept"),
    BadFeedback: (422, "Such feedback is not possible"),
    NoFeedback: (404, "No such feedback"),
    StudyMistakes: (422, "The study has mistakes"),
    StudyRefused: (409, "Not possible with this study"),
    StudyChanged: (412, "The study has changed"),
    CannotKeepStudy: (507, "The study cannot be written"),
    SittingTaken: (409, "Not possible with this calibration"),
    CannotCalibrate: (507, "The calibration cannot be written"),
    ClusterFull: (503, "The workers are full"),
    NotStored: (503, "The bus does not answer"),
    CannotKeep: (507, "The person's file cannot be written"),
}
"""Status and title of each error that a request can cause."""


def add_problem_handlers(app: FastAPI, methods_of: Callable[[str], set[str]]) -> None:
    """Answer every error of the API with problem details.

    Parameters
    ----------
    app
        The application.
    methods_of
        Returns the methods of a path, none for paths of the page.
    """

    async def expected(request: Request, error: Exception) -> JSONResponse:
        kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
        request.app.state.running.hub.counters.errors[type(error).__name__] += 1
        answer = problem(*STATUSES[kind], str(error))
        if kind in (ClusterFull, NotStored):
            answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        methods = methods_of(request.url.path)
        if methods and request.method not in methods:
            detail = f"Expected {' or '.join(sorted(methods))}, but found {request.method}."
            answer = problem(405, "Method not allowed", detail)
            answer.headers["Allow"] = ", ".join(sorted(methods))
            return answer
        return problem(error.status_code, "The request failed", error.detail)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        lines = (
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        return problem(422, "The request is not valid", "; ".join(lines))

    async def unexpected(request: Request, _: Exception) -> JSONResponse:
        request.app.state.running.hub.counters.errors["InternalError"] += 1
        return problem(500, "Internal error", "See the service's log.")

    app.add_exception_handler(Exception, unexpected)
    for kind in STATUSES:
        app.add_exception_handler(kind, expected)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)

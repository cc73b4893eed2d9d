"""Routes of protocols: list, read, check, save and delete them, as tables or as TOML files.

A protocol has a version, its ETag. A client that saves or deletes one sends the version that it
read, so that no changes are lost (RFC 9110, 13.1).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from mimamba.service.api.dependencies import AllStudies
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.storage.private_files import NAME
from mimamba.service.studies.protocol_file import StudyMistake, find_mistakes
from mimamba.service.studies.study_folder import StudyFile, StudyNote

TOML = "application/toml"
DRAFT = "the study"
"""Name of a protocol that has none yet, in sentences."""

StudyName = Annotated[str, Path(pattern=f"^{NAME}$")]
IfMatch = Annotated[
    str | None,
    Header(max_length=100, description="The ETag of the protocol that this one replaces."),
]
IfNoneMatch = Annotated[
    str | None, Header(max_length=100, description="`*` for a new protocol, in place of If-Match.")
]
PROTOCOL = "A protocol with the fields of its file; `step` is a list of tables."
Table = Annotated[dict[str, Any], Body(description=PROTOCOL)]


class DraftCheck(BaseModel):
    """A protocol to check."""

    model_config = ConfigDict(extra="forbid")

    protocol: dict[str, Any]


@dataclass(frozen=True)
class ProtocolView:
    """A protocol with the fields of its file, and the version that is its ETag."""

    name: str
    shipped: bool
    version: str
    protocol: dict[str, Any]


protocols_api = APIRouter(prefix="/v1", tags=["studies"], responses=PROBLEMS)


# These block on the disk, so they are not coroutines: FastAPI gives each a thread.


@protocols_api.get("/studies")
def list_studies(studies: AllStudies) -> list[StudyNote]:
    """List the protocols, those with a mistake included; the shipped ones last."""
    return studies.protocols.all()


@protocols_api.post("/study-checks")
def check_protocol(draft: DraftCheck) -> list[StudyMistake]:
    """Return the mistakes of a protocol, up to 50; saves nothing."""
    return find_mistakes(draft.protocol, DRAFT)


@protocols_api.get("/studies/{study}")
def read_protocol(studies: AllStudies, study: StudyName, response: Response) -> ProtocolView:
    """Return a protocol without mistakes."""
    return _view(study, studies.protocols.file(study), response)


@protocols_api.put("/studies/{study}")
def save_protocol(
    studies: AllStudies,
    study: StudyName,
    protocol: Table,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> ProtocolView:
    """Save a protocol as a TOML file; the comments of one that it replaces are lost."""
    version = _version(if_match, if_none_match)
    saved = studies.protocols.save_table(study, protocol, version)
    return _view(study, saved, response)


@protocols_api.delete("/studies/{study}", status_code=204)
def delete_protocol(studies: AllStudies, study: StudyName, if_match: IfMatch = None) -> None:
    """Delete a protocol permanently. A study that goes on with it is not changed."""
    version = _version(if_match, None)
    assert version is not None
    studies.protocols.delete(study, version)


@protocols_api.get(
    "/studies/{study}/file", response_class=Response, responses={200: {"content": {TOML: {}}}}
)
def download_protocol(studies: AllStudies, study: StudyName) -> Response:
    """Download a protocol's TOML file, also one with a mistake."""
    file = studies.protocols.file(study)
    headers = {
        "ETag": _etag(file.version),
        "Content-Disposition": f'attachment; filename="{study}.toml"',
    }
    return Response(file.content, media_type=TOML, headers=headers)


@protocols_api.put(
    "/studies/{study}/file",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload_protocol(
    studies: AllStudies,
    study: StudyName,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> ProtocolView:
    """Save a protocol's TOML file as it is, comments included."""
    version = _version(if_match, if_none_match)
    content = await request.body()
    saved = await asyncio.to_thread(studies.protocols.save, study, content, version)
    return _view(study, saved, response)


def _view(name: str, file: StudyFile, response: Response) -> ProtocolView:
    response.headers["ETag"] = _etag(file.version)
    return ProtocolView(name, file.shipped, file.version, file.table())


def _etag(version: str) -> str:
    return f'"{version}"'


def _version(if_match: str | None, if_none_match: str | None) -> str | None:
    """Return the version that a request wants to replace; None for a new protocol."""
    if if_match is not None:
        return if_match.strip().removeprefix("W/").strip('"')  # a proxy that compresses adds W/
    if if_none_match is not None and if_none_match.strip() == "*":
        return None
    raise HTTPException(
        428,
        "Expected the header If-Match with the ETag of the study, or If-None-Match: * for a new "
        "one, but found neither. Read the study first, and send one of them.",
    )

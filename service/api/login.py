"""The API's login: a browser shows the token once, and has a cookie from then on."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.auth.authenticator import Authenticator, AuthRefusal, address_of, cookie_name
from mimamba.service.auth.scopes import count_refusal, refused
from mimamba.service.protocol.auth import Scope

login_api = APIRouter(prefix="/v1", tags=["login"])


class TokenBody(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=1024)


@dataclass(frozen=True)
class LoggedIn:
    """What the cookie is good for."""

    scope: Scope


@login_api.post("/login", response_model=LoggedIn)
async def log_in(request: Request, shown: TokenBody) -> Response:
    """Get a cookie for a token; it ends with the browser, after seven days, or at the logout."""
    door: Authenticator = request.app.state.door
    judged = door.present(shown.token, address_of(request))
    if isinstance(judged, AuthRefusal):
        count_refusal(request.scope, judged)
        return refused(judged)
    answer = JSONResponse({"scope": judged.scope})
    answer.set_cookie(
        cookie_name(request),
        door.log_in(judged),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@login_api.post("/logout", status_code=204)
async def log_out(request: Request, response: Response) -> None:
    """End the login that the cookie stands for, with all its streams."""
    door: Authenticator = request.app.state.door
    door.log_out(request)
    response.delete_cookie(
        cookie_name(request),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )

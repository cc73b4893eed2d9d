"""Routes of the login: a browser sends the token once and gets a cookie."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from mimamba.service.auth.authenticator import (
    Authenticator,
    AuthRefusal,
    client_address,
    cookie_name,
)
from mimamba.service.auth.scopes import count_refusal, refusal_response
from mimamba.service.protocol.auth import Scope

login_api = APIRouter(prefix="/v1", tags=["login"])


class TokenBody(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=1024)


@dataclass(frozen=True)
class LoggedIn:
    """Scope of the cookie."""

    scope: Scope


@login_api.post("/login", response_model=LoggedIn)
async def log_in(request: Request, shown: TokenBody) -> Response:
    """Get a cookie for a token. It ends with the browser, after seven days, or at the logout."""
    authenticator: Authenticator = request.app.state.authenticator
    result = authenticator.authenticate_token(shown.token, client_address(request))
    if isinstance(result, AuthRefusal):
        count_refusal(request.scope, result)
        return refusal_response(result)
    answer = JSONResponse({"scope": result.scope})
    answer.set_cookie(
        cookie_name(request),
        authenticator.log_in(result),
        path=cookie_path(request),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@login_api.post("/logout", status_code=204)
async def log_out(request: Request, response: Response) -> None:
    """End the login of the cookie, and all streams that use it."""
    authenticator: Authenticator = request.app.state.authenticator
    authenticator.log_out(request)
    response.delete_cookie(
        cookie_name(request),
        path=cookie_path(request),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def cookie_path(request: Request) -> str:
    """Return the path of the service, below which a browser sends the cookie."""
    path: str = request.app.state.root_path
    return path or "/"

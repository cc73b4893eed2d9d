"""Routes of the login: a browser sends the token, or a one-time code, and gets a cookie.

A token that may control makes such codes, and tokens that end on a day.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from mimamba.drivers.errors import UserError
from mimamba.service.api.dependencies import Service
from mimamba.service.auth.authenticator import (
    Authenticator,
    AuthRefusal,
    Permission,
    client_address,
    cookie_name,
)
from mimamba.service.auth.issued_tokens import IssuedToken, IssuedTokens
from mimamba.service.auth.scopes import auth_result_of, count_refusal, refusal_response
from mimamba.service.auth.watch_codes import CODE_SECONDS, LENGTH
from mimamba.service.auth.watch_link import (
    NO_NETWORK,
    UNREACHABLE,
    QRCode,
    base_url,
    draw_qr,
    is_loopback,
    network_host,
    watch_url,
)
from mimamba.service.http.problem import PROBLEMS
from mimamba.service.protocol.auth import Scope
from mimamba.service.settings.settings import Settings
from mimamba.service.storage.private_files import NAME

login_api = APIRouter(prefix="/v1", tags=["login"], responses=PROBLEMS)
tokens_api = APIRouter(prefix="/v1/tokens", tags=["tokens"], responses=PROBLEMS)

NO_TOKEN_ASKED = (
    "Expected a service that asks for a token, but this one lets everybody control it. "
    "Start it with --token-file, or with --host for other devices."
)
MOST_DAYS = 3650


class CannotShare(UserError):
    """Other devices cannot reach the service, or need no code."""


class OnlyOwners(UserError):
    """A token that was issued cannot issue others: they would outlive it."""


class TokenBody(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=1024)


class CodeBody(BaseModel):
    """A one-time code."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(max_length=64)


@dataclass(frozen=True)
class LoggedIn:
    """Scope of the cookie."""

    scope: Scope


@dataclass(frozen=True)
class WatchLink:
    """Link with which one other device may watch.

    ``code`` is the part behind ``#watch=``. ``seconds`` says for how long it works. ``qr`` has the
    link as an SVG path of dark modules, one unit each, in a square of ``size`` units. ``public`` is
    true if its address is the public one of the service's settings.
    """

    url: str
    code: Annotated[str, Field(min_length=LENGTH, max_length=LENGTH)]
    seconds: float
    qr: QRCode
    public: bool


class NewToken(BaseModel):
    """A token to issue."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=f"^{NAME}$")
    scope: Scope = "view"
    days: int = Field(default=30, ge=1, le=MOST_DAYS)


@dataclass(frozen=True)
class TokenView:
    """An issued token without its secret; ``made`` and ``ends`` in ISO 8601, UTC."""

    name: str
    scope: Scope
    made: str
    ends: str
    expired: bool


@dataclass(frozen=True)
class MadeToken:
    """A new token; only this answer has the ``token`` itself."""

    token: str
    about: TokenView


def _issued(request: Request) -> IssuedTokens:
    """Return the issued tokens.

    Raises
    ------
    CannotShare
        If no token is asked for.
    OnlyOwners
        If the request comes with an issued token, and is to change something.
    """
    if request.method != "GET":
        _check_owner(request)
    authenticator: Authenticator = request.app.state.authenticator
    if not authenticator.requires_token:
        raise CannotShare(NO_TOKEN_ASKED)
    issued: IssuedTokens = request.app.state.issued
    return issued


def _check_owner(request: Request) -> None:
    result = auth_result_of(request)
    if isinstance(result, Permission) and result.issued is not None:
        raise OnlyOwners(
            "Expected the token that `mimamba serve` uses, but found one that it has issued, which "
            "cannot issue or revoke others. Use that token."
        )


Issued = Annotated[IssuedTokens, Depends(_issued)]


@tokens_api.get("")
async def list_tokens(issued: Issued) -> list[TokenView]:
    """List the tokens that were issued, by name."""
    return [_view(issued, each) for each in issued.all()]


@tokens_api.post("", status_code=201)
async def issue_token(issued: Issued, wanted: NewToken) -> MadeToken:
    """Issue a token for some days. It is shown in this answer only; the service keeps its hash."""
    made, secret = await asyncio.to_thread(issued.make, wanted.name, wanted.scope, wanted.days)
    return MadeToken(secret, _view(issued, made))


@tokens_api.delete("/{name}", status_code=204)
async def revoke_token(issued: Issued, name: Annotated[str, Path(pattern=f"^{NAME}$")]) -> None:
    """Revoke an issued token. Logins and streams that came from it end, too."""
    await asyncio.to_thread(issued.revoke, name)


def _view(issued: IssuedTokens, token: IssuedToken) -> TokenView:
    made, ends = (
        datetime.fromtimestamp(each, UTC).isoformat() for each in (token.made, token.ends)
    )
    return TokenView(token.name, token.scope, made, ends, issued.valid(token.digest) is None)


@login_api.post("/login", response_model=LoggedIn)
async def log_in(request: Request, shown: TokenBody) -> Response:
    """Get a cookie for a token. It ends with the browser, after seven days, or at the logout."""
    authenticator: Authenticator = request.app.state.authenticator
    result = authenticator.authenticate_token(shown.token, client_address(request))
    return _answer(request, result)


@login_api.post("/login/code", response_model=LoggedIn)
async def log_in_with_code(request: Request, shown: CodeBody) -> Response:
    """Get a cookie for a one-time code, which may only view and ends after a day."""
    authenticator: Authenticator = request.app.state.authenticator
    result = authenticator.authenticate_code(shown.code, client_address(request))
    return _answer(request, result, by_code=True)


@login_api.post("/watch-codes", status_code=201)
async def make_watch_code(request: Request, service: Service) -> WatchLink:
    """Make a link with which one other device of the network may watch, once, within 2 minutes.

    The link has the service's public address, if the settings name one.
    Refused with 409 where other devices cannot reach the service, or where it asks for no token.
    """
    _check_owner(request)
    authenticator: Authenticator = request.app.state.authenticator
    base = _base_for_others(request, service.settings)
    if not authenticator.requires_token:
        raise CannotShare(NO_TOKEN_ASKED)
    code = authenticator.make_watch_code()
    url = watch_url(base, code)
    return WatchLink(url, code, CODE_SECONDS, draw_qr(url), bool(service.settings.public_url))


@login_api.delete("/watch-codes", status_code=204)
async def end_watching(request: Request) -> None:
    """End all one-time codes and the logins that came from them, with their streams."""
    authenticator: Authenticator = request.app.state.authenticator
    authenticator.end_watching()


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


def _answer(request: Request, result: Permission | AuthRefusal, by_code: bool = False) -> Response:
    """Return the answer to a login, with its cookie if it is accepted."""
    if isinstance(result, AuthRefusal):
        count_refusal(request.scope, result)
        return refusal_response(result)
    authenticator: Authenticator = request.app.state.authenticator
    answer = JSONResponse({"scope": result.scope})
    answer.set_cookie(
        cookie_name(request),
        authenticator.log_in(result, by_code),
        path=cookie_path(request),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _base_for_others(request: Request, settings: Settings) -> str:
    """Return the service's address for other devices: the public one of the settings, else that of
    the request, if they can reach it.
    """
    if settings.public_url:
        return settings.public_url
    url = request.url
    if not is_loopback(url.hostname or "localhost"):
        return f"{url.scheme}://{url.netloc}{settings.root_path}"
    if settings.on_loopback:
        raise CannotShare(UNREACHABLE)
    host = network_host(settings.host, settings.allowed_host)
    if host is None:
        raise CannotShare(NO_NETWORK)
    port = url.port or (443 if url.scheme == "https" else 80)
    return base_url(url.scheme, host, port, settings.root_path)


def cookie_path(request: Request) -> str:
    """Return the path of the service, below which a browser sends the cookie."""
    path: str = request.app.state.root_path
    return path or "/"

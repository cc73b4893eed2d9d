"""Requests to the REST API of a service, with the standard library alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from mimamba.drivers.errors import UserError
from mimamba.service.client.client import ServiceUnreachable
from mimamba.service.client.credentials import (
    NO_CREDENTIALS,
    TOKEN_MISSING,
    TOKEN_REFUSED,
    Credentials,
    Unauthorized,
    remedy_for,
)

TIMEOUT = 10.0
"""Seconds that an answer may take."""


class ControlRefused(UserError):
    """The service refused the request; the message is its own, in one line."""


class NoRedirect(HTTPRedirectHandler):
    """Follow no redirection, since it would take the token along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse."""


@dataclass(frozen=True)
class RestClient:
    """REST API of a service.

    Parameters
    ----------
    url
        Address of the service, with or without a scheme.
    credentials
        Token to send, and certificates to trust.
    """

    url: str
    credentials: Credentials = NO_CREDENTIALS

    @property
    def base(self) -> str:
        """Address of the service with its scheme, without a slash at its end."""
        return (self.url if "://" in self.url else f"http://{self.url}").rstrip("/")

    def ask(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        method: str | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Send a request, and return its decoded answer; None if that is empty.

        Parameters
        ----------
        path
            From ``/v1`` on, quoted.
        body
            Sent as JSON; None for a request without a body.
        method
            Default: POST with a body, else GET.
        timeout
            Seconds that the answer may take.

        Raises
        ------
        ServiceUnreachable
            If no service answers.
        Unauthorized
            If the token is missing or not accepted.
        ControlRefused
            If the service refuses, if it is another program, or if ``url`` is not an address.
        """
        address = f"{self.base}{path}"
        data = None if body is None else json.dumps(body).encode()
        # A service is on this machine or near it, where a proxy of the environment cannot reach it.
        secure = HTTPSHandler(context=self.credentials.context(address))
        opener = build_opener(ProxyHandler({}), NoRedirect(), secure)
        try:
            headers = {"Content-Type": "application/json", **self.credentials.headers}
            request = Request(address, data, headers, method=method)
            with opener.open(request, timeout=timeout) as answer:
                return None if answer.status == 204 else json.load(answer)
        except HTTPError as error:
            with error:
                if error.code == 401:
                    token = self.credentials.token
                    raise Unauthorized(TOKEN_REFUSED if token else TOKEN_MISSING) from error
                raise ControlRefused(_reason(error)) from error
        except (URLError, TimeoutError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            said = getattr(reason, "strerror", None) or reason
            raise ServiceUnreachable(
                f"No mimamba service answers at {self.base}: {said}. {remedy_for(reason)}"
            ) from error
        except (HTTPException, OSError, ValueError, LookupError, TypeError) as error:
            raise no_service(address, error) from error


def no_service(address: str, error: Exception) -> ControlRefused:
    """Return the error for another program at an address."""
    return ControlRefused(
        f"Expected a service of mimamba at {address}, but found {error!r}. Correct the address."
    )


def _reason(error: HTTPError) -> str:
    """Take the service's own message from its problem details (RFC 9457)."""
    try:
        return str(json.load(error)["detail"])
    except (HTTPException, OSError, ValueError, LookupError, TypeError):
        return (
            f"Expected a service of mimamba, but found one that answers {error.code} "
            f"{error.reason}. Correct the address."
        )

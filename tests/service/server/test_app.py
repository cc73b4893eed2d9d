"""What an application has done before its first request."""

from __future__ import annotations

import gc

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from mimamba.service.api.sessions import sessions_api
from tests.service.live import live


def dependants() -> list[Dependant]:
    """What FastAPI has worked out of routes since the tests were loaded, and of what they need."""
    return [each for each in gc.get_objects() if type(each) is Dependant]


def test_the_first_requests_build_no_routes() -> None:
    route = sessions_api.routes[0]
    assert isinstance(route, APIRoute)
    assert isinstance(route.dependant, Dependant)
    with live(source=[]) as service:
        before = set(map(id, dependants()))
        for path in ("/v1/sessions", "/v1/recordings", "/healthz", "/nowhere"):
            service.http.get(path)
        assert not [each for each in dependants() if id(each) not in before]

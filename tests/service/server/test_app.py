"""What an application has done before its first request."""

from __future__ import annotations

import gc

from fastapi.dependencies.models import Dependant

from tests.service.live import live


def dependants() -> list[Dependant]:
    """What FastAPI has worked out of all routes that it has built, and of their dependencies."""
    return [each for each in gc.get_objects() if isinstance(each, Dependant)]


def test_the_first_requests_build_no_routes() -> None:
    with live(source=[]) as service:
        before = dependants()
        for path in ("/v1/sessions", "/v1/recordings", "/healthz", "/nowhere"):
            service.http.get(path)
        known = set(map(id, before))
        assert len(known) > 100
        assert not [each for each in dependants() if id(each) not in known]

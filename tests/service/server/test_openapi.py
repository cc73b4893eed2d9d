"""The OpenAPI document says which routes require a token, as the table of scopes does."""

from __future__ import annotations

from typing import Any

from mimamba.service.auth.scopes import ROUTES
from tests.service.auth.test_tokens import CONTROL
from tests.service.live import live


def document(**settings: Any) -> dict[str, Any]:
    """The document of a service with these settings."""
    with live(source=[], **settings) as service:
        found: dict[str, Any] = service.http.get("/v1/openapi.json").json()
        return found


def test_each_operation_says_what_it_requires() -> None:
    found = document(token=CONTROL)
    schemes = found["components"]["securitySchemes"]
    assert {each["type"] for each in schemes.values()} == {"http", "apiKey"}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            required = ROUTES[f"{method.upper()} {path}"]
            wanted = [] if required == "open" else [{name: [required]} for name in schemes]
            assert operation["security"] == wanted, path


def test_a_token_is_optional_where_none_is_asked_for() -> None:
    assert {} in document()["paths"]["/v1/sessions"]["get"]["security"]

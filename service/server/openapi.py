"""OpenAPI's description of the access: what each route requires, and where the service is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from mimamba.service.auth.authenticator import Authenticator
from mimamba.service.auth.scopes import scope_required_by_route

SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token for view or control. Without one the service asks for none.",
    },
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": "mimamba",
        "description": "The cookie of POST /v1/login. Its name ends in the port, if Host has one.",
    },
}
"""Names and kinds of authentication."""


def describe_access(app: FastAPI, root_path: str) -> None:
    """Add ``security`` to each operation of the OpenAPI document, and the service's path."""
    make: Callable[[], dict[str, Any]] = app.openapi
    authenticator: Authenticator = app.state.authenticator

    def needed(scope: str) -> list[dict[str, list[str]]]:
        wanted = [{name: [scope]} for name in SCHEMES]
        return wanted if authenticator.requires_token else [*wanted, {}]

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = make()
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                route = {"type": "http", "method": method.upper(), "path": path}
                required = scope_required_by_route(route)
                operation["security"] = [] if required == "open" else needed(required)
        if root_path:
            document["servers"] = [{"url": root_path}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]

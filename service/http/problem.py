"""Problem details, the JSON of all errors of the REST API (RFC 9457)."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}


_DECLARED: dict[str, Any] = {
    "description": "Problem details (RFC 9457)",
    "content": {"application/problem+json": {"schema": _PROBLEM}},
}


PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": _DECLARED, "5XX": _DECLARED}
"""Errors of every route in the OpenAPI document."""


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """Return a response with problem details."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")

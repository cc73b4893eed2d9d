"""The reference of the REST API, made from the application's own OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from schema_tables import in_cell, in_prose, remarks, type_of, types

from mimamba.service.api.dependencies import ServiceState
from mimamba.service.auth.scopes import ROUTES
from mimamba.service.auth.tokens import Tokens
from mimamba.service.server.app import make_app
from mimamba.service.settings.settings import Settings

PAGE = "reference/rest.md"
INTRODUCTION = """\
# REST API

This page is made from the service's own description when the documentation is built. A running
service gives it at `/v1/openapi.json` (OpenAPI 3.1).

Where the service asks for a token, send it as `Authorization: Bearer TOKEN`. Each route says which
of the two tokens it needs, `view` or `control`; the token for control may view, too.
See [Deploying](../guide/deploying.md#tokens).

Every route may answer with an error (status 4xx or 5xx): `application/problem+json`
([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with `type`, `title`, `status` and `detail`.
`title` says what went wrong; `detail` says what was expected, what was found, and what to do.

Beside the API there are `/healthz`, `/readyz` and `/metrics`: see
[Deploying](../guide/deploying.md#health-and-metrics).
"""
OTHERS = "sessions"
"""Tag of the routes that have none."""


async def _start(_: ServiceState) -> None:
    raise AssertionError("the application is described, not run")


def operation(method: str, path: str, about: Mapping[str, Any]) -> Iterable[str]:
    """Lines of one route's section."""
    need = ROUTES.get(f"{method.upper()} {path}", "control")
    yield f"### `{method.upper()} {path}`"
    yield ""
    yield in_prose(about.get("description") or about["summary"])
    yield ""
    yield f"Needs: {'no token' if need == 'open' else f'`{need}`'}."
    yield ""
    parameters = about.get("parameters", ())
    if parameters:
        yield "| parameter | in | type | | |"
        yield "|---|---|---|---|---|"
        for each in parameters:
            schema = each["schema"]
            needed = "" if each.get("required") else "optional"
            told = remarks({**schema, "description": each.get("description", "")})
            kind = in_cell(type_of(schema))
            yield f"| `{each['name']}` | {each['in']} | {kind} | {needed} | {told} |"
        yield ""
    body = about.get("requestBody", {}).get("content", {})
    if body:
        yield "Body: " + ", ".join(
            f"`{kind}`, {type_of(of['schema'])}" for kind, of in body.items()
        )
        yield ""
    for status, answer in about["responses"].items():
        if status.startswith("2"):
            yield f"Answer: {status}" + "".join(
                f", `{kind}`" + (f" {type_of(of['schema'])}" if of.get("schema") else "")
                for kind, of in answer.get("content", {}).items()
            )
            yield ""


def page() -> str:
    """The page's Markdown."""
    description = make_app(Settings(), _start, Tokens(None, None)).openapi()
    tags: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, about in methods.items():
            tag = about.get("tags", [OTHERS])[0]
            tags.setdefault(tag, []).extend(operation(method, path, about))
    lines = [INTRODUCTION]
    for tag, sections in tags.items():
        lines += [f"## {tag.capitalize()}", "", *sections]
    lines += ["## Types", "", *types(description["components"]["schemas"])]
    return "\n".join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=page()))
    return files

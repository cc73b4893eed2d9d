"""The reference of the WebSocket protocol, made from the message types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from schema_tables import described, fields_table, types

from mimamba.service.auth.scopes import MESSAGES
from mimamba.service.protocol.schema import SERVER_MESSAGES, json_schema, message_tag

PAGE = "reference/protocol.md"
INTRODUCTION = """\
# WebSocket protocol

This page is made from the message types when the documentation is built.
A running service gives the same as [AsyncAPI 3](https://www.asyncapi.com/) at `/v1/asyncapi.json`
and as JSON Schema at `/v1/schema.json`.
[Subscribing](../guide/subscribing.md) shows how to use it.

The stream is one WebSocket at `/v1/stream`. Each message is an object with a `type`.

- Text frames are JSON. Arrays of numbers are base64 there.
- With the subprotocol `mimamba.v1.msgpack` every frame is [msgpack](https://msgpack.org/) of the
  same structures, and arrays are raw bytes.
- Arrays are little-endian. Times are seconds on the LSL clock, float64.
- Ignore fields and messages that you do not know: later versions of `v1` may add some.
- A client may give its messages an `id`; the answer repeats it.
"""


def message(kind: Any, schemas: dict[str, Any], scope: str | None) -> Iterable[str]:
    """Lines of one message's section."""
    schema = schemas.pop(kind.__name__)
    yield f"### `{message_tag(kind)}`"
    yield ""
    yield described(schema)[0]
    yield ""
    yield f"In Python: `{kind.__module__}.{kind.__name__}`."
    yield ""
    if scope is not None:
        yield f"Needs: {'no token' if scope == 'open' else f'a token that may `{scope}`'}."
        yield ""
    yield from fields_table(schema)


def page() -> str:
    """The page's Markdown."""
    schemas = dict(json_schema()["$defs"])
    lines = [INTRODUCTION, "## From a client", ""]
    for asked, need in MESSAGES.items():
        lines += message(asked, schemas, need)
    lines += ["## From the service", ""]
    for kind in SERVER_MESSAGES:
        lines += message(kind, schemas, None)
    lines += ["## Types", "", *types(schemas)]
    return "\n".join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=page()))
    return files

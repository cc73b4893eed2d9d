"""Wire protocol v1 for machines: a JSON Schema and an AsyncAPI 3 document.

Both are made from the message types, so that they cannot differ from what is sent.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any, Final, TypeAlias, get_args

import msgspec

from mimamba.service.protocol.messages import MSGPACK_SUBPROTOCOL, ClientMessage, ServerMessage

Tree: TypeAlias = dict[str, Any]
"""A JSON object."""
MessageType: TypeAlias = type[msgspec.Struct]

CLIENT_MESSAGES: Final[tuple[MessageType, ...]] = get_args(ClientMessage)
SERVER_MESSAGES: Final[tuple[MessageType, ...]] = get_args(ServerMessage)
MESSAGES: Final = (*CLIENT_MESSAGES, *SERVER_MESSAGES)
DESCRIPTION = (
    "The stream of a mimamba service, at /v1/stream. Text frames are JSON; with the subprotocol "
    f"{MSGPACK_SUBPROTOCOL} every frame is msgpack of the same structures, where arrays are bin "
    "instead of base64. Unknown fields and unknown messages are to be ignored. mimamba is not a "
    "medical device."
)


def message_tag(kind: MessageType) -> str:
    """Return the ``type`` of messages of this kind."""
    return str(kind.__struct_config__.tag)


@cache
def json_schema() -> Tree:
    """Make one schema (draft 2020-12) for the messages of both sides."""
    schemas = _schemas("#/$defs/")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mimamba wire protocol v1",
        "description": DESCRIPTION,
        "oneOf": [
            {"$ref": f"#/$defs/{kind.__name__}"} for kind in (*CLIENT_MESSAGES, *SERVER_MESSAGES)
        ],
        "$defs": schemas,
    }


@cache
def asyncapi() -> Tree:
    """Make the AsyncAPI 3 document from the service's side: it receives the messages of clients."""
    kinds = (*CLIENT_MESSAGES, *SERVER_MESSAGES)
    names = {
        message_tag(kind): {"$ref": f"#/components/messages/{message_tag(kind)}"} for kind in kinds
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "mimamba wire protocol v1",
            "version": version("mimamba"),
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "description": "One WebSocket for all sessions.",
                "messages": names,
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "ask": _operation("receive", "Messages from a client.", CLIENT_MESSAGES),
            "tell": _operation("send", "Messages from the service.", SERVER_MESSAGES),
        },
        "components": {
            "messages": {message_tag(kind): _message(kind) for kind in MESSAGES},
            "schemas": _schemas("#/components/schemas/"),
        },
    }


def _operation(action: str, summary: str, kinds: Iterable[MessageType]) -> Tree:
    channel = "#/channels/stream"
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{message_tag(kind)}"} for kind in kinds],
    }


def _message(kind: MessageType) -> Tree:
    return {
        "name": message_tag(kind),
        "title": kind.__name__,
        "summary": inspect.getdoc(kind) or "",
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }


def _schemas(prefix: str) -> Tree:
    """Make each type's schema, by its name; ``prefix`` is that of references to them."""
    _, found = msgspec.json.schema_components(
        (*CLIENT_MESSAGES, *SERVER_MESSAGES), ref_template=prefix + "{name}"
    )
    for schema in found.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return {name: _without_python(schema) for name, schema in found.items()}


def _without_python(tree: Any) -> Any:
    r"""Write patterns for JavaScript, where ``$`` is the very end, which is ``\Z`` in Python."""
    if isinstance(tree, list):
        return [_without_python(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    cleaned = {key: _without_python(value) for key, value in tree.items()}
    if isinstance(cleaned.get("pattern"), str):
        cleaned["pattern"] = cleaned["pattern"].replace(r"\Z", "$")
    return cleaned

"""The client's TypeScript types, made from the JSON Schema that the service prints.

``python -m tests.client.message_types`` writes them anew after a change of the protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mimamba.service.protocol.schema import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    MessageType,
    json_schema,
)

MESSAGES = Path(__file__).resolve().parents[2] / "dashboard" / "client" / "src" / "messages.ts"
HEAD = """\
/**
 * Messages of wire protocol v1.
 *
 * Made by tests/client/message_types.py from the service's JSON Schema (/v1/schema.json), whose
 * names they have. Fields that may be absent are optional: services of other versions lack some.
 * Bytes are those of msgpack.
 */
"""
NAMES = {"Error": "ServiceError"}
"""Names that would hide JavaScript's own."""
TOPICS: list[str] = json_schema()["$defs"]["Skipped"]["properties"]["topic"]["enum"]
PARAMETER = re.compile(r"^(\w+)\n((?:    .+\n?)+)", re.MULTILINE)
"""A field in a docstring's section of parameters."""
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean"}


def typescript() -> str:
    """The whole module."""
    definitions: dict[str, Any] = json_schema()["$defs"]
    parts = [HEAD, *(declaration(name, each) for name, each in definitions.items())]
    parts.append(union("Topic", map(quoted, TOPICS)))
    parts.append(side("ClientMessage", CLIENT_MESSAGES))
    parts.append(side("ServerMessage", SERVER_MESSAGES))
    return "\n".join(parts)


def declaration(name: str, schema: dict[str, Any]) -> str:
    """One type with its description."""
    text, _, parameters = schema.get("description", "").partition("\n\nParameters\n----------\n")
    told = {name: " ".join(words.split()) for name, words in PARAMETER.findall(parameters)}
    lines = [*comment(text), f"export interface {NAMES.get(name, name)} {{"]
    required = schema.get("required", ())
    for field, about in schema["properties"].items():
        words = about.get("description") or told.get(field)
        lines += [f"  /** {in_prose(words)} */"] if words else []
        lines.append(f"  {field}{'' if field in required else '?'}: {type_of(about)};")
    return "\n".join([*lines, "}\n"])


def comment(text: str) -> Iterator[str]:
    """A description as a comment."""
    lines = in_prose(text).splitlines()
    if lines:
        yield "/**"
        yield from (f" * {each}".rstrip() for each in lines)
        yield " */"


def in_prose(text: str) -> str:
    """A description with Markdown's code instead of reStructuredText's."""
    return re.sub(r"``(.+?)``", r"`\1`", text)


def type_of(schema: dict[str, Any]) -> str:
    """A type in TypeScript; fails at what the protocol has not used before."""
    if "$ref" in schema:
        name: str = schema["$ref"].rsplit("/", 1)[1]
        return NAMES.get(name, name)
    if "enum" in schema:
        if schema["enum"] == TOPICS:
            return "Topic"
        return " | ".join(map(quoted, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(map(type_of, schema["anyOf"]))
    kind = schema["type"]
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(map(type_of, schema['prefixItems']))}]"
        item = type_of(schema["items"])
        return f"({item})[]" if "|" in item else f"{item}[]"
    if kind == "object":
        return f"Record<string, {type_of(schema['additionalProperties'])}>"
    if schema.get("contentEncoding") == "base64":
        return "Uint8Array"
    return "null" if kind == "null" else PLAIN[kind]


def quoted(text: str) -> str:
    """A string literal."""
    return f"'{json.dumps(text)[1:-1]}'"


def union(name: str, types: Iterable[str]) -> str:
    """One alias."""
    return f"export type {name} = {' | '.join(types)};\n"


def side(name: str, kinds: tuple[MessageType, ...]) -> str:
    """The messages of one side."""
    return union(name, (NAMES.get(each.__name__, each.__name__) for each in kinds))


if __name__ == "__main__":
    MESSAGES.write_text(typescript(), encoding="utf-8")

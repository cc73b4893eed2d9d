"""JSON Schema as Markdown tables, for the two generated references."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]

LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} entries",
    "pattern": "matches `{}`",
}


def anchor(name: str) -> str:
    """Heading id of a type: ``StreamInfo`` gives ``type-streaminfo``."""
    return "type-" + re.sub(r"[^a-z0-9_-]+", "", name.lower())


def in_cell(text: str) -> str:
    """Text that fits into one cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def in_prose(text: str) -> str:
    """A docstring's reStructuredText literals as Markdown's."""
    return text.replace("``", "`")


def type_of(schema: Schema) -> str:
    """A type in words, with links to the types that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{anchor(name)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(type_of, schema[several])))
    kind = schema.get("type", "anything")
    if kind == "array":
        items = schema.get("items")
        return f"list of {type_of(items)}" if items else "list"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {type_of(values)}" if isinstance(values, Mapping) else "object"
    return str(schema.get("format", kind)) if kind == "string" else str(kind)


def remarks(schema: Schema) -> str:
    """Description, default and limits of a value."""
    found = [in_prose(schema["description"])] if schema.get("description") else []
    for each in (schema, *schema.get("anyOf", ())):
        found += [text.format(each[key]) for key, text in LIMITS.items() if key in each]
    if schema.get("default") not in (None, [], {}):
        found.append(f"default `{json.dumps(schema['default'])}`")
    return in_cell("; ".join(part.rstrip(".") for part in found))


def described(schema: Schema) -> tuple[str, dict[str, str]]:
    """A type's docstring, and what its Parameters section says of each field."""
    text, _, sections = in_prose(schema.get("description", "")).partition("\nParameters\n---")
    fields: dict[str, str] = {}
    names: list[str] = []
    for line in sections.splitlines()[1:]:
        if re.match(r"[A-Z]\w+$", line):  # the next section
            break
        if line and not line.startswith(" "):
            names = line.split(", ")
        for name in names if line.startswith(" ") else ():
            fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
    return text.strip(), fields


def fields_table(schema: Schema) -> Iterable[str]:
    """Lines of a table of an object's fields; none where it has no fields."""
    told = described(schema)[1]
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        return
    required = set(schema.get("required", ()))
    yield "| field | type | | |"
    yield "|---|---|---|---|"
    for name, value in properties.items():
        needed = "" if name in required else "optional"
        about = remarks({"description": told.get(name), **value})
        yield f"| `{name}` | {in_cell(type_of(value))} | {needed} | {about} |"
    yield ""


def types(schemas: Mapping[str, Schema]) -> Iterable[str]:
    """Lines of a section for each named type."""
    for name, schema in sorted(schemas.items()):
        yield f"### {name} {{ #{anchor(name)} }}"
        yield ""
        yield described(schema)[0]
        yield ""
        table = list(fields_table(schema))
        yield from table or [f"{type_of(schema)}", ""]

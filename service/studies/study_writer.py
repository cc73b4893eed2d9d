"""Protocols written as TOML, as a person would write them: one ``[[step]]`` after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mimamba.service.studies.protocol_file import HEAD, STEP


def write_study(table: Mapping[str, Any]) -> str:
    """Return a protocol's table, which has no mistake, as TOML; fields are in one order."""
    import tomlkit  # loads in 40 ms

    document = tomlkit.document()
    for name in HEAD:
        if name in table and name != "step":
            document.add(name, _value(table[name]))
    steps = tomlkit.aot()
    for step in table["step"]:
        written = tomlkit.table()
        for name in STEP:
            if name in step:
                written.add(name, _value(step[name]))
        steps.append(written)
    document.add("step", steps)
    return tomlkit.dumps(document)


def _value(value: Any) -> Any:
    """Return a value for TOML: a text of several lines has them in the file, too.

    One that begins with a line break does not: older versions of tomlkit lose it after the quotes.
    """
    import tomlkit

    if isinstance(value, str) and "\n" in value and value[0] != "\n":
        return tomlkit.string(value, multiline=True)
    return value

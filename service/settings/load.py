"""Loading of settings: from flags, then MIMAMBA_... in the environment, a file, the defaults.

The file is TOML; its keys are the flags' names, with underscores. ``mimamba config`` shows the
settings in force and their origins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_config_path
from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.drivers.errors import Mismatch, UserError
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.service.settings.marker_meanings import BadMarkers, MarkerMeaning, check_tags
from mimamba.service.settings.settings import DataSettings, DoctorSettings, Settings
from mimamba.service.storage.folders import data_folder

AnySettings = TypeVar("AnySettings", bound=DataSettings)

SECRETS = {"token", "tokens", "password", "secret"}
"""A setting with one of these words in its name is never shown."""


class BadConfig(Mismatch):
    """The settings file cannot be read, or has an unknown setting."""


class CannotServe(UserError):
    """The service cannot start with these settings."""


def make_settings(flags: dict[str, Any], file: Path | None = None) -> Settings:
    """Load all settings.

    Raises
    ------
    CannotServe
        If a value is not valid.
    BadConfig
        If the file cannot be read, or has an unknown setting.
    """
    return _load(Settings, flags, file)


def load_doctor_settings(flags: dict[str, Any], file: Path | None) -> DoctorSettings:
    """Load what ``mimamba doctor`` checks; raises as ``make_settings``."""
    return _load(DoctorSettings, flags, file)


def find_data_folder(data_dir: Path | None, file: Path | None) -> Path:
    """Load the data folder alone; raises as ``make_settings``."""
    settings = _load(DataSettings, {"data_dir": data_dir} if data_dir else {}, file)
    return data_folder(settings.data_dir)


def load_marker_meanings(file: Path | None) -> dict[str, MarkerMeaning]:
    """Load the meanings of markers alone; raises as ``make_settings``."""
    return _load(DataSettings, {}, file).markers


def find_config(given: Path | None) -> Path | None:
    """Return the settings file: the given one, or the user's own if it exists."""
    own = user_config_path("mimamba", appauthor=False) / "mimamba.toml"
    return given or (own if own.is_file() else None)


def read_config(path: Path | None) -> dict[str, Any]:
    """Read a file's settings and check their names, not their values; no settings without a file.

    Raises
    ------
    BadConfig
        If it cannot be read, is not TOML, or has an unknown key.
    """
    if path is None:
        return {}
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        found = error.strerror or str(error)
        raise BadConfig(f"a settings file at {path}", found, "correct --config") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested too deeply
        raise BadConfig(f"TOML in {path}", str(error), "correct the file") from None
    for key in given:
        if key not in Settings.model_fields:
            (nearest,) = get_close_matches(key, Settings.model_fields, n=1, cutoff=0.0)
            raise BadConfig(
                f"settings in {path}", f"the unknown key {key!r}", f"use {nearest!r} or remove it"
            )
    return given


def origins(flags: Mapping[str, Any], path: Path | None) -> dict[str, str]:
    """Return the origin of each setting, in words."""
    environment, filed = EnvSettingsSource(Settings)(), read_config(path)
    found: dict[str, str] = {}
    for name in Settings.model_fields:
        if name in flags:
            found[name] = f"flag --{name.replace('_', '-')}"
        elif name in environment:
            found[name] = f"environment MIMAMBA_{name.upper()}"
        else:
            found[name] = str(path) if name in filed else "default"
    return found


def show_config(settings: Settings, origin_of: Mapping[str, str]) -> None:
    """Print the settings in force and their origins; secrets are masked.

    Raises
    ------
    CannotServe
        If a marker has HED tags that their schema does not have, and hedtools is installed.
    """
    table = Table()
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")  # never cut
    defaults = {"data_dir": data_folder(None), "model": DEFAULT_MODEL}
    for name, origin in origin_of.items():
        value = getattr(settings, name)
        text = masked(name, defaults.get(name) if value is None else value)
        table.add_row(name, escape(text), escape(origin))
    Console().print(table)
    try:
        check_tags(settings.markers)
    except BadMarkers as error:
        raise CannotServe(f"{origin_of['markers']}: markers: {error}") from None


def is_secret(name: str, value: object) -> bool:
    """Return whether a setting's value must not be shown."""
    named = not isinstance(value, Path) and not SECRETS.isdisjoint(name.split("_"))
    return named or isinstance(value, SecretStr)


def masked(name: str, value: object) -> str:
    """Return a setting's value as text, with stars for a secret."""
    if value is None or value in ([], {}):
        return "(none)"
    if is_secret(name, value):
        return "********"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {each}" for key, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _load(kind: type[AnySettings], flags: Mapping[str, Any], path: Path | None) -> AnySettings:
    filed, environment = read_config(path), EnvSettingsSource(kind)()
    left = {name: filed[name] for name in filed.keys() & kind.model_fields - environment.keys()}
    try:
        return kind(**left | dict(flags))  # which reads the environment itself
    except ValidationError as error:
        from_file = {name for name, origin in origins(flags, path).items() if origin == str(path)}
        lines = (_line(each, from_file, path) for each in error.errors())
        raise CannotServe("; ".join(lines)) from None


def _line(error: ErrorDetails, from_file: set[str], path: Path | None) -> str:
    """Return what a setting expected and found; our own validators say so themselves."""
    name = ".".join(map(str, error["loc"]))
    if name in from_file:
        name = f"{path}: {name}"
    if error["type"] == "value_error":
        text = error["msg"].removeprefix("Value error, ")
        return f"{name}: {text}" if name else text
    expected = error["msg"].replace("Input should be ", "").replace("Input should ", "to ")
    setting = str(error["loc"][0]) if error["loc"] else ""
    found = "something else" if is_secret(setting, error["input"]) else repr(error["input"])
    return f"{name}: Expected {expected}, but found {found}. Correct it."

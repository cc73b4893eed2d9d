"""Where settings come from: flags, then MIMAMBA_... in the environment, a file, the defaults.

The file is TOML; its keys are the flags' names, with underscores. ``mimamba config`` shows what is
in force and where it came from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_config_path
from pydantic import SecretStr
from pydantic_settings import EnvSettingsSource
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.service.settings.settings import DataSettings, Settings
from mimamba.service.storage.folders import data_folder

Given = TypeVar("Given", bound=DataSettings)

SECRETS = {"token", "tokens", "password", "secret"}
"""A setting with one of these words in its name is never shown."""


class BadConfig(Mismatch):
    """The file of settings is none, or names a setting that does not exist."""


def find_config(given: Path | None) -> Path | None:
    """The file of settings: the given one, else the user's own where it is there."""
    own = user_config_path("mimamba", appauthor=False) / "mimamba.toml"
    return given or (own if own.is_file() else None)


def read_config(path: Path | None) -> dict[str, Any]:
    """A file's settings, not yet checked but for their names; none without a file.

    Raises
    ------
    BadConfig
        If it cannot be read, is no TOML, or has a key that is no setting.
    """
    if path is None:
        return {}
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        found = error.strerror or str(error)
        raise BadConfig(f"a file of settings at {path}", found, "correct --config") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise BadConfig(f"TOML in {path}", str(error), "correct it") from None
    for key in given:
        if key not in Settings.model_fields:
            (nearest,) = get_close_matches(key, Settings.model_fields, n=1, cutoff=0.0)
            raise BadConfig(f"settings in {path}", f"the key {key!r}", f"did you mean {nearest!r}?")
    return given


def load(kind: type[Given], flags: Mapping[str, Any], path: Path | None) -> Given:
    """The settings in force, all or those of the place alone.

    Raises
    ------
    BadConfig
        As ``read_config`` does.
    pydantic.ValidationError
        If one of these values is not valid.
    """
    filed, environment = read_config(path), EnvSettingsSource(kind)()
    left = {name: filed[name] for name in filed.keys() & kind.model_fields - environment.keys()}
    return kind(**left | dict(flags))  # which looks into the environment itself


def origins(flags: Mapping[str, Any], path: Path | None) -> dict[str, str]:
    """Where each setting came from, in words."""
    environment, filed = EnvSettingsSource(Settings)(), read_config(path)
    told: dict[str, str] = {}
    for name in Settings.model_fields:
        if name in flags:
            told[name] = f"flag --{name.replace('_', '-')}"
        elif name in environment:
            told[name] = f"environment MIMAMBA_{name.upper()}"
        else:
            told[name] = str(path) if name in filed else "default"
    return told


def show_config(settings: Settings, came: Mapping[str, str]) -> None:
    """Print what is in force and where it came from; secrets are masked."""
    table = Table("setting", "value", "from")
    unsaid = {"data_dir": data_folder(None), "model": DEFAULT_MODEL}
    for name, origin in came.items():
        value = getattr(settings, name)
        told = shown(name, unsaid.get(name) if value is None else value)
        table.add_row(name, escape(told), escape(origin))
    Console().print(table)


def is_secret(name: str, value: object) -> bool:
    """Whether a setting's value may be told to nobody."""
    named = not isinstance(value, Path) and not SECRETS.isdisjoint(name.split("_"))
    return named or isinstance(value, SecretStr)


def shown(name: str, value: object) -> str:
    """A setting as it may be shown."""
    if value is None or value == []:
        return "(none)"
    if is_secret(name, value):
        return "********"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

"""service/settings/load.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mimamba.drivers.errors import UserError
from mimamba.service.settings import sources
from mimamba.service.settings.settings import DataSettings, DeviceSettings, Settings
from mimamba.service.storage.folders import data_folder


class CannotServe(UserError):
    """The service cannot start as it was told to; one clear line."""


def make_settings(flags: dict[str, Any], file: Path | None = None) -> Settings:
    """Settings from flags over the environment over a file.

    Raises
    ------
    CannotServe
        If a value is not valid.
    BadConfig
        If the file is none, or has a key that is no setting.
    """
    return _made_of(Settings, flags, file)


def find_stepping(given: Path | None, file: Path | None) -> DeviceSettings:
    """The data folder and the device, from the same places; raises as ``make_settings``."""
    return _made_of(DeviceSettings, {"data_dir": given} if given else {}, file)


def find_folder(given: Path | None, file: Path | None) -> Path:
    """The data folder, from the same places; raises as ``make_settings``."""
    place = _made_of(DataSettings, {"data_dir": given} if given else {}, file)
    return data_folder(place.data_dir)


def _made_of(kind: type[sources.Given], flags: dict[str, Any], file: Path | None) -> sources.Given:
    try:
        return sources.load(kind, flags, file)
    except ValidationError as error:
        filed = {name for name, came in sources.origins(flags, file).items() if came == str(file)}
        raise CannotServe("; ".join(_line(each, filed, file) for each in error.errors())) from None


def _line(error: ErrorDetails, filed: set[str], file: Path | None) -> str:
    """What a setting wanted and found; our own validators say so themselves."""
    name = ".".join(map(str, error["loc"]))
    if name in filed:
        name = f"{file}: {name}"
    if error["type"] == "value_error":
        said = error["msg"].removeprefix("Value error, ")
        return f"{name}: {said}" if name else said
    wanted = error["msg"].replace("Input should be ", "").replace("Input should ", "to ")
    setting = str(error["loc"][0]) if error["loc"] else ""
    secret = sources.is_secret(setting, error["input"])
    found = "something else" if secret else repr(error["input"])
    return f"{name}: Expected {wanted}, but found {found}. Correct it."

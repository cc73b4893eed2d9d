"""What the service is told: config.py tells from where."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.eventlog import LogFormat, LogLevel

DEFAULT_SOURCE = "simulate://"
DEFAULT_MODEL = "demo"
NO_MODEL = "none"


def _listed(given: object) -> object:
    """A list as the environment has it: words, or JSON where one of them holds a space."""
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith("["):
        return given.split()
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError(
            f"wanted entries with spaces between them, or a JSON list; found {given!r}; correct it"
        ) from None


Texts: TypeAlias = Annotated[list[str], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Settings of ``mimamba serve``."""

    model_config = SettingsConfigDict(env_prefix="MIMAMBA_", extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    source: Texts = [DEFAULT_SOURCE]
    model: str | None = None
    memory: bool = True
    files: Path | None = None
    data_dir: Path | None = None
    lsl_out: bool = False
    allowed_host: Texts = []
    log_format: LogFormat = "text"
    log_level: LogLevel | None = None

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        """EEG stays on this machine: only loopback addresses are served."""
        name = "127.0.0.1" if host == "localhost" else host
        try:
            if ipaddress.ip_address(name).is_loopback:
                return name
        except ValueError:
            pass
        raise ValueError(
            f"wanted a loopback address (127.0.0.1, ::1, localhost); found {host!r}; "
            "reach the service from elsewhere through an SSH tunnel"
        )

    @field_validator("files")
    @classmethod
    def _folder(cls, files: Path | None) -> Path | None:
        if files is not None and not files.is_dir():
            raise ValueError(f"wanted a folder of recordings; found {str(files)!r}; create it")
        return files

    @field_validator("data_dir")
    @classmethod
    def _no_file(cls, data_dir: Path | None) -> Path | None:
        if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
            raise ValueError(
                f"wanted a folder for recordings; found the file {str(data_dir)!r}; choose another"
            )
        return data_dir

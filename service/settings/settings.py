"""What the service is told: config.py tells from where."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated, Self, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mimamba.models.inference.precision import DeviceRequest, Precision
from mimamba.service.auth.tokens import Tokens, read_tokens
from mimamba.service.monitoring.logging import LogFormat, LogLevel

DEFAULT_SOURCE = "simulate://"


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
            f"Expected entries with spaces between them, or a JSON list, but found {given!r}. "
            "Correct it."
        ) from None


Texts: TypeAlias = Annotated[list[str], NoDecode, BeforeValidator(_listed)]


class DataSettings(BaseSettings):
    """Where recordings, people and models lie: all that commands without a service need."""

    model_config = SettingsConfigDict(env_prefix="MIMAMBA_", extra="forbid")

    data_dir: Path | None = None

    @field_validator("data_dir")
    @classmethod
    def _no_file(cls, data_dir: Path | None) -> Path | None:
        if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
            raise ValueError(
                f"Expected a folder for recordings, but found the file {str(data_dir)!r}. "
                "Choose another."
            )
        return data_dir


class DeviceSettings(DataSettings):
    """That, and where models are stepped."""

    device: DeviceRequest = "auto"
    precision: Precision = "fp32"


class Settings(DeviceSettings):
    """Settings of ``mimamba serve``."""

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    source: Texts = [DEFAULT_SOURCE]
    model: str | None = None
    memory: bool = True
    person: str | None = None
    files: Path | None = None
    upload_mib: int = Field(default=1024, ge=1, le=1024)
    lsl_out: bool = False
    osc_out: str | None = None
    udp_markers: int | None = Field(default=None, ge=1, le=65535)
    allowed_host: Texts = []
    token: SecretStr | None = None
    view_token: SecretStr | None = None
    token_file: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    insecure_http: bool = False
    log_format: LogFormat = "text"
    log_level: LogLevel | None = None

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return ipaddress.ip_address(self.host).is_loopback

    def given_tokens(self) -> Tokens:
        """What was given: a file goes before the environment.

        Raises
        ------
        BadToken
            If one of them is none.
        """
        if self.token_file is not None:
            return read_tokens(self.token_file)
        control, view = (each and each.get_secret_value() for each in (self.token, self.view_token))
        return Tokens(control or None, view or None)

    def tokens(self) -> Tokens:
        """What must be shown: nothing on loopback, unless tokens were given; made where they lack.

        Raises
        ------
        BadToken
            If one that was given is none.
        """
        given = self.given_tokens()
        return given if self.on_loopback and not given.any else given.complete()

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        name = "127.0.0.1" if host == "localhost" else host
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            raise ValueError(
                f"Expected an IP address of this machine, or localhost, but found {host!r}; "
                "0.0.0.0 listens on all of them. A name goes to --allowed-host."
            ) from None

    @model_validator(mode="after")
    def _secure(self) -> Self:
        """EEG leaves this machine by TLS, unless a person says otherwise."""
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError(
                "Expected a certificate with the key, but found none. Add --ssl-certfile."
            )
        if not (self.on_loopback or self.ssl_certfile or self.insecure_http):
            raise ValueError(
                "Expected TLS beyond this machine, but found no --ssl-certfile. Give one, or take "
                "--insecure-http where the network itself is private."
            )
        return self

    @field_validator("files")
    @classmethod
    def _folder(cls, files: Path | None) -> Path | None:
        if files is not None and not files.is_dir():
            raise ValueError(
                f"Expected a folder of recordings, but found {str(files)!r}. Create it."
            )
        return files

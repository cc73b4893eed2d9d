"""Settings of the service and their validation; load.py finds their values."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Self, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mimamba.models.detection.event_kinds import EVENT_KINDS, EventKind
from mimamba.models.inference.precision import DeviceRequest, Precision
from mimamba.service.auth.tokens import Tokens, read_tokens
from mimamba.service.bridges.broker_address import BrokerAddress, is_topic, parse_address
from mimamba.service.http.own_address import (
    host_of,
    parse_public_url,
    path_of,
    require_tls,
)
from mimamba.service.monitoring.logging import LogFormat, LogLevel
from mimamba.service.settings.marker_meanings import MarkerMeanings

DEFAULT_SOURCE = "simulate://"
ORIGIN = (
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)"
    r"(:(?P<port>[0-9]{1,5}))?"
)
"""An origin as browsers send it (RFC 6454, section 6.1), in any case."""
NO_DISCOVERY = "none"
"""For ``mqtt_discovery``."""
PORTS = {"http": 80, "https": 443}
"""Ports that origins leave out."""


def _as_list(given: object) -> object:
    """Parse a list from the environment: words, or JSON if one of them contains a space."""
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith("["):
        return given.split()
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError(
            f"Expected words separated by spaces, or a JSON list, but found {given!r}. Correct it."
        ) from None


def _as_kinds(given: object) -> object:
    """Parse kinds of events, with commas between them."""
    if not isinstance(given, str):
        return given
    kinds = [each.strip() for each in given.split(",") if each.strip()]
    if unknown := [each for each in kinds if each not in EVENT_KINDS]:
        raise ValueError(
            f"Expected {' or '.join(EVENT_KINDS)}, with commas between them, but found "
            f"{unknown[0]!r}. Correct it."
        )
    return kinds


def _as_origin(given: str) -> str:
    """Return an origin as browsers send it: scheme and host in lower case, no default port."""
    found = re.fullmatch(ORIGIN, given, re.IGNORECASE)
    if found is None:
        raise ValueError(
            f"Expected the origin of a page, such as https://lab.example or http://localhost:3000, "
            f"but found {given!r}. Write its scheme and host, and its port if the address has one."
        )
    scheme, host, port = found["scheme"].lower(), found["host"].lower(), found["port"]
    return f"{scheme}://{host}" + (f":{int(port)}" if port and int(port) != PORTS[scheme] else "")


def _as_address(given: object) -> object:
    """Parse the address of a broker; BadAddress is a ValueError, whose message is shown."""
    return parse_address(given) if isinstance(given, str) else given


Address: TypeAlias = Annotated[BrokerAddress | None, NoDecode, BeforeValidator(_as_address)]
Texts: TypeAlias = Annotated[list[str], NoDecode, BeforeValidator(_as_list)]


class DataSettings(BaseSettings):
    """Folder of recordings, people and models, and meanings of markers, for BIDS exports.

    It is all that commands without a service need.
    """

    model_config = SettingsConfigDict(env_prefix="MIMAMBA_", extra="forbid")

    data_dir: Path | None = None
    markers: MarkerMeanings = {}

    @field_validator("data_dir")
    @classmethod
    def _check_data_dir(cls, data_dir: Path | None) -> Path | None:
        if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
            raise ValueError(
                f"Expected a folder of recordings, but {str(data_dir)!r} is a file. Choose another."
            )
        return data_dir


class DoctorSettings(DataSettings):
    """Data folder, device of models, certificate, bus, broker: what ``mimamba doctor`` checks."""

    device: DeviceRequest = "auto"
    precision: Precision = "fp32"
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    bus: str | None = None
    mqtt_out: Address = None
    mqtt_password: SecretStr | None = None
    mqtt_password_file: Path | None = None
    mqtt_cafile: Path | None = None


class Settings(DoctorSettings):
    """Settings of ``mimamba serve``."""

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    source: Texts = [DEFAULT_SOURCE]
    model: str | None = None
    memory: bool = True
    person: str | None = None
    files: Path | None = None
    studies: Path | None = None
    rules: Path | None = None
    upload_mib: int = Field(default=1024, ge=1, le=1024)
    keep: int | None = Field(default=None, ge=1, le=36_500)
    lsl_out: bool = False
    osc_out: str | None = None
    mqtt_discovery: str = "homeassistant"
    udp_markers: int | None = Field(default=None, ge=1, le=65535)
    detect: Annotated[list[EventKind], NoDecode, BeforeValidator(_as_kinds)] = []
    allowed_host: Texts = []
    allowed_origin: Texts = []
    trusted_proxy: Texts = []
    root_path: str = ""
    public_url: str | None = None
    token: SecretStr | None = None
    view_token: SecretStr | None = None
    token_file: Path | None = None
    insecure_http: bool = False
    log_format: LogFormat = "text"
    log_level: LogLevel | None = None

    @property
    def on_loopback(self) -> bool:
        """True if the service is reachable from this machine only."""
        return ipaddress.ip_address(self.host).is_loopback

    def is_trusted_proxy(self, address: str) -> bool:
        """Return whether the headers of this address say for whom it sends a request."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip
        return any(ip in ipaddress.ip_network(each) for each in self.trusted_proxy)

    def given_tokens(self) -> Tokens:
        """Return the given tokens: a file goes before the environment.

        Raises
        ------
        BadToken
            If one of them is not valid.
        """
        if self.token_file is not None:
            return read_tokens(self.token_file)
        control, view = (each and each.get_secret_value() for each in (self.token, self.view_token))
        return Tokens(control or None, view or None)

    def tokens(self) -> Tokens:
        """Return the tokens in force: none on loopback unless given; missing ones are made.

        Loopback has tokens, too, where a proxy shows the service to others, and where other origins
        are allowed: any page there may be visited.

        Raises
        ------
        BadToken
            If a given one is not valid.
        """
        given = self.given_tokens()
        for_others = self.public_url or self.allowed_origin
        open_to_all = self.on_loopback and not given.any and not for_others
        return given if open_to_all else given.complete()

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        name = "127.0.0.1" if host == "localhost" else host
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            raise ValueError(
                f"Expected an IP address of this machine, or localhost, but found {host!r}. "
                "Use 0.0.0.0 for all addresses, and --allowed-host for a name."
            ) from None

    @model_validator(mode="after")
    def _read_nothing_for_a_bus(self) -> Self:
        """Open no simulated headset for a gateway, unless it is asked for."""
        if self.bus is not None and "source" not in self.model_fields_set:
            self.source = []
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        require_tls(self.on_loopback, self.ssl_certfile, self.ssl_keyfile, self.insecure_http)
        return self

    @model_validator(mode="after")
    def _take_path(self) -> Self:
        """Take the path below which a proxy shows the service from its public address."""
        path = path_of(self.public_url) if self.public_url else ""
        if self.public_url and self.root_path not in ("", path):
            raise ValueError(
                f"Expected the path of --public-url, {path or 'none'}, in --root-path, too, but "
                f"found {self.root_path}. Leave --root-path out."
            )
        self.root_path = self.root_path or path
        return self

    @property
    def host_names(self) -> list[str]:
        """Host names that browsers may use as well as localhost."""
        return [*self.allowed_host, *([host_of(self.public_url)] if self.public_url else [])]

    @property
    def discovery(self) -> str | None:
        """Prefix of Home Assistant's discovery; None for none."""
        return None if self.mqtt_discovery == NO_DISCOVERY else self.mqtt_discovery

    @field_validator("mqtt_discovery")
    @classmethod
    def _check_mqtt_discovery(cls, prefix: str) -> str:
        if not is_topic(prefix):
            raise ValueError(
                f"Expected a prefix such as homeassistant, or {NO_DISCOVERY}, but found "
                f"{prefix!r}. Correct it."
            )
        return prefix

    @field_validator("trusted_proxy")
    @classmethod
    def _check_trusted_proxy(cls, proxies: list[str]) -> list[str]:
        try:
            return [str(ipaddress.ip_network(each, strict=False)) for each in proxies]
        except ValueError as error:
            raise ValueError(
                f"Expected IP addresses or networks of proxies, but found {error}. "
                "Use one such as 127.0.0.1 or 10.0.0.0/8."
            ) from None

    @field_validator("allowed_origin")
    @classmethod
    def _check_allowed_origin(cls, origins: list[str]) -> list[str]:
        return [_as_origin(each) for each in origins]

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        prefix = path.rstrip("/")
        if prefix and not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", prefix):
            raise ValueError(
                f"Expected a path such as /eeg, but found {path!r}. Begin it with a slash, and use "
                "letters, digits, '-', '_', '.' and '~'."
            )
        return prefix

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        return parse_public_url(url) if url else None

    @field_validator("studies")
    @classmethod
    def _check_studies(cls, studies: Path | None) -> Path | None:
        if studies is not None and not studies.is_dir():
            raise ValueError(
                f"Expected a folder of studies, but {str(studies)!r} is not a folder. Create it."
            )
        return studies

    @field_validator("files")
    @classmethod
    def _check_files(cls, files: Path | None) -> Path | None:
        if files is not None and not files.is_dir():
            raise ValueError(
                f"Expected a folder of recordings, but {str(files)!r} is not a folder. Create it."
            )
        return files

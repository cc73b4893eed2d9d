"""A service for the commands about its sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mimamba.service.cli.main import app
from tests.service.auth.test_tokens import BEYOND, CONTROL
from tests.service.live import Live, live

Invoke = Callable[..., Result]


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One that asks for a token, that other devices reach by a name, with one session."""
    options: dict[str, Any] = {
        **BEYOND,
        "allowed_host": ["eeg.example"],
        "token": CONTROL,
        "data_dir": tmp_path_factory.mktemp("recordings"),
    }
    with live("simulate://?seed=7", model="none", **options) as service:
        service.opened("simulate-1")
        yield service


@pytest.fixture
def invoke(service: Live) -> Invoke:
    """Run a command for the service, in this process."""

    def run(*arguments: str, token: str = CONTROL) -> Result:
        words = [*arguments[0].split(), "--url", service.url, *arguments[1:]]
        return CliRunner().invoke(app, words, env={"MIMAMBA_TOKEN": token, "COLUMNS": "200"})

    return run

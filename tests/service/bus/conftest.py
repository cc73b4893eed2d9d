from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.bus.nats_server import NATSServer, running


@pytest.fixture(scope="package")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NATSServer]:
    with running(tmp_path_factory.mktemp("nats")) as server:
        yield server

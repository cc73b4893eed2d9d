"""Strangers of every kind visit a service, and readers with a token stay."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mimamba.service.bench.service_process import ServiceProcess
from tests.benchmarks.strangers import strangers
from tests.benchmarks.strangers.clients import KINDS
from tests.benchmarks.strangers.strangers import ALL, TOKEN, VIEW_TOKEN, ReaderTotals
from tests.benchmarks.tests.checks import check_figures
from tests.service.live import live


def test_readers_are_measured_beside_all_kinds(tmp_path: Path) -> None:
    with live(
        "simulate://", model="demo", token=TOKEN, view_token=VIEW_TOKEN, data_dir=tmp_path
    ) as service:
        process = ServiceProcess(service.url, os.getpid())
        found = asyncio.run(strangers.measure_service(process, 4.0, readers=2, count=1, rounds=1))
    check_figures(found, ["ms", "ms", *(["ms", "ms", "times", "times"] * (len(KINDS) + 1))])
    assert found[-1].what == f"beside 1: {ALL}, p99, ratio"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_is_let_in_and_sends(kind: str) -> None:
    """What each kind sends first is what the service waits for, or answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert address.port is not None

        def visit() -> None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", address.port)) as plug:
                plug.settimeout(0.2)
                KINDS[kind](plug, address.netloc)

        visitor = threading.Thread(target=visit)
        visitor.start()
        plug, _ = listener.accept()
        with plug:
            plug.settimeout(10 if kind != "nothing sent" else 0.2)
            try:
                first = plug.recv(1 << 16)
            except TimeoutError:
                first = b""
        visitor.join()
    assert bool(first) == (kind not in {"nothing sent", "a connection for nothing"})
    heads = {"a body that does not come", "requests", "a connection for each request"}
    assert first.endswith(b"\r\n\r\n") == (kind in heads) or b"Upgrade: websocket" in first


def test_a_ratio_above_the_limit_misses_its_aim() -> None:
    alone, slow = ReaderTotals([0.01] * 100), ReaderTotals([0.01] * 90 + [0.02] * 10)
    found = strangers.compare("beside 8", slow, alone)
    assert [figure.value for figure in found] == pytest.approx([10, 20, 1, 2])
    assert [figure.met for figure in found] == [None, None, True, False]

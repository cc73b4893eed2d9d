"""Users, permissions and TLS of ``docker/nats-server.conf``, on a real server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimamba.service.acquire.bus_acquirer import BusAcquirer
from mimamba.service.bus.bus import Bus, BusUnreachable, NotStored, publish
from mimamba.service.bus.connect import connect_bus
from mimamba.service.bus.nats_bus import without_password
from mimamba.service.cluster.gateway import BusSessions
from mimamba.service.cluster.subjects import (
    FEEDBACK_KEYS,
    STUDY_KEYS,
    feedback_key,
    input_subject,
    output_subject,
    session_key,
)
from mimamba.service.cluster.worker import Worker
from mimamba.service.sessions.registry import choose_model
from mimamba.service.stream.hub import Hub
from tests.service.bus.nats_server import NATSServer, running
from tests.service.certificates import make_certificate

CONFIG = Path(__file__).resolve().parents[3] / "docker" / "nats-server.conf"
PATIENCE = 120.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NATSServer]:
    """The server of the guide, with another port, folder and certificate."""
    certificate = make_certificate(tmp_path)
    shutil.copy(certificate.certificate, tmp_path / "server.pem")
    shutil.copy(certificate.key, tmp_path / "server.key")
    content = CONFIG.read_text(encoding="utf-8")
    content = content.replace("/certs", tmp_path.as_posix()).replace("port: 4222", "")
    content = content.replace('store_dir: "/data"', "")
    (tmp_path / "server.conf").write_text(content, encoding="utf-8")
    for role in ("WORKER", "GATEWAY", "HEADSET_1"):
        monkeypatch.setenv(f"{role}_PASSWORD", f"secret-of-{role}")
    monkeypatch.setenv("MIMAMBA_BUS_CA", str(certificate.authority))
    with running(tmp_path / "store", "-c", str(tmp_path / "server.conf")) as made:
        made.url = made.url.replace("nats://", "tls://")
        yield made


async def connect(server: NATSServer, user: str, monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setenv("MIMAMBA_BUS_USER", user)
    variable = user.upper().replace("-", "_")
    monkeypatch.setenv("MIMAMBA_BUS_PASSWORD", f"secret-of-{variable}")
    return await connect_bus(server.url)


def test_each_role_may_do_its_work_and_no_more(
    server: NATSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        roles = ("worker", "gateway", "headset-1")
        worker, gateway, headset = [await connect(server, each, monkeypatch) for each in roles]
        choice = choose_model(None, memory=True)
        sessions = BusSessions(Hub(), choice, gateway)
        tasks = [
            asyncio.create_task(Worker(worker, choice).run()),
            asyncio.create_task(sessions.run()),
        ]
        while not sessions.workers():
            await asyncio.sleep(0.02)
        acquirer = BusAcquirer("simulate://", headset, "headset-1")
        tasks.append(asyncio.create_task(acquirer.run()))
        while (session := await sessions.find("headset-1")) is None:
            await asyncio.sleep(0.02)
        while session.logs is None or session.logs.prediction.next < 3:
            await asyncio.sleep(0.02)
        report = asyncio.create_task(asyncio.to_thread(session.snapshot))
        assert (await report).logs.epoch == session.logs.epoch
        denied = [
            publish(headset, input_subject("headset-2"), b"x"),
            publish(headset, session_key("headset-2"), b"x"),
            publish(headset, output_subject("headset-1", "results"), b"x"),
            publish(headset, "keys.worker.w", b"x"),
            headset.newest(output_subject("headset-1", "results")),
            headset.newest(FEEDBACK_KEYS),  # they say whose values a wearer sees
            headset.newest(STUDY_KEYS),
            publish(headset, feedback_key("headset-1"), b"x"),
            publish(gateway, output_subject("headset-1", "results"), b"x"),
            publish(gateway, "keys.worker.w", b"x"),
        ]
        for each in await asyncio.gather(*denied, return_exceptions=True):
            assert isinstance(each, NotStored)
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await sessions.close_all()
        for bus in (headset, gateway, worker):
            await bus.close()

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await scene()

    asyncio.run(bounded())


def test_refusals(server: NATSServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BusUnreachable, match="MIMAMBA_BUS_USER and MIMAMBA_BUS_PASSWORD"):
        asyncio.run(connect(server, "nobody", monkeypatch))
    with pytest.raises(BusUnreachable, match=r"make the stream IN|with JetStream"):
        asyncio.run(connect(server, "headset-1", monkeypatch))  # before any worker
    (tmp_path / "none.pem").write_text("none")
    monkeypatch.setenv("MIMAMBA_BUS_CA", str(tmp_path / "none.pem"))
    with pytest.raises(BusUnreachable, match=r"Expected a certificate in .*none\.pem"):
        asyncio.run(connect(server, "worker", monkeypatch))
    monkeypatch.delenv("MIMAMBA_BUS_CA")  # nobody whom the system trusts has signed it
    with pytest.raises(BusUnreachable, match="Expected a NATS server"):
        asyncio.run(connect(server, "worker", monkeypatch))
    assert without_password("nats://a:b@one:1,nats://two:2") == "nats://one:1,nats://two:2"

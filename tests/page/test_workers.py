"""The workers of a cluster on the page of a gateway, with a real server and worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from mimamba.service.bus.connect import connect_bus
from mimamba.service.cluster.worker import Worker
from mimamba.service.sessions.registry import choose_model
from tests.page.axe import violations
from tests.page.pictures import shots
from tests.service.bus.nats_server import running
from tests.service.live import PATIENCE, bearer, live

CONTROL, VIEW = "c" * 32, "v" * 32


@contextmanager
def worker(url: str) -> Iterator[None]:
    """A worker in a thread of its own."""
    ready, stop = threading.Event(), threading.Event()

    async def work() -> None:
        bus = await connect_bus(url)
        running = asyncio.create_task(Worker(bus, choose_model(None, memory=True)).run())
        ready.set()
        await asyncio.to_thread(stop.wait)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await bus.close()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield
    finally:
        stop.set()
        thread.join()


def test_workers_are_shown_by_a_gateway(page: Page, tmp_path: Path) -> None:
    with (
        running(tmp_path / "nats") as server,
        live(bus=server.url, data_dir=tmp_path, token=CONTROL, view_token=VIEW) as service,
        worker(server.url),
    ):
        service.until(lambda: bool(service.http.get("/v1/workers").json()))
        new = {"source": "simulate://", "id": "a-session-with-a-long-name", "person": "P01"}
        assert service.http.post("/v1/sessions", json=new).status_code == 201
        viewing = httpx.get(
            f"{service.url}/v1/workers", headers=bearer(VIEW), timeout=PATIENCE, verify=False
        )
        assert (viewing.status_code, viewing.json()["title"]) == (
            403,
            "The token does not allow this",
        )
        page.goto(service.url)
        page.get_by_test_id("token").fill(CONTROL)
        page.get_by_test_id("log-in").click()
        page.get_by_test_id("to-workers").click()
        expect(page.get_by_test_id("workers-total")).to_have_text(
            "1 worker computes 1 of at most 200 sessions."
        )
        card = page.locator("[data-testid^=worker-]")
        expect(card).to_have_count(1)
        expect(card).to_contain_text("1 of 200")
        expect(card).to_contain_text("% of a core")
        assert violations(page) == []
        shots(page, "workers")
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.set_viewport_size({"width": 1280, "height": 800})
        card.get_by_role("button", name=str(new["id"])).click()
        expect(page.get_by_test_id("session-person")).to_have_text("P01")

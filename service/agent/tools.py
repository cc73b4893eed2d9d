"""Tools by which an agent reads a running service; those that change something are apart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from mimamba.drivers.errors import UserError
from mimamba.service.client.client import Client
from mimamba.service.client.rest_client import TIMEOUT, RestClient
from mimamba.service.protocol.messages import PredictionMessage, QualityMessage
from mimamba.service.topics import Topic

PATIENCE = 5.0
"""Seconds in which a session that runs has sent a prediction and the quality."""
REPORT_SECONDS = 60.0
"""Seconds that the figures of a long recording may take."""
READS = ToolAnnotations(read_only_hint=True)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=False)
INSTRUCTIONS = (
    "Live EEG of a person. Predictions are uncertain, and often absent: then `reason` says why, "
    "and nothing may be concluded. Repeat a model's `notice` with what it predicts. "
    "Not a medical device."
)


class AgentTools:
    """Tools for one service.

    Parameters
    ----------
    service
        The service, with a token to view; to control for tools that change something.
    """

    def __init__(self, service: RestClient) -> None:
        self._service = service

    async def sessions(self) -> list[dict[str, Any]]:
        """List the sessions: id, state, source, model, person, and the link to the headset."""
        names = ("id", "state", "reason", "source", "person", "link", "battery")
        return [
            {name: each[name] for name in names}
            | {"model": each["model"]["name"] if each["model"] else None}
            for each in await self._ask("/v1/sessions")
        ]

    async def state(self, session: str) -> dict[str, Any]:
        """Read what is predicted in a session now, or why nothing is."""
        found = await self._ask(f"/v1/sessions/{quote(session, safe='')}")
        runs = found["model"] is not None and found["state"] == "open"
        prediction = await self._read(session, "prediction") if runs else None
        why = "The model has sent no prediction in the last seconds."
        if found["model"] is None:
            why = "The session runs without a model."
        elif found["state"] != "open":
            why = f"The session is not open: {found['reason'] or found['state']}."
        return {
            "session": session,
            "link": found["link"],
            "notice": found["model"] and found["model"]["notice"],
            "prediction": {"status": "none", "reason": why} if prediction is None else prediction,
        }

    async def quality(self, session: str) -> dict[str, Any]:
        """Read the quality of each electrode's signal now: a score from 0 to 1, and a reason."""
        await self._ask(f"/v1/sessions/{quote(session, safe='')}")
        quality = await self._read(session, "quality")
        if quality is None:
            raise ToolError(f"The session {session} has sent no signal in the last seconds.")
        return quality

    async def recordings(self) -> list[dict[str, Any]]:
        """List the recordings, the newest first."""
        return list(await self._ask("/v1/recordings"))

    async def report(self, recording: str) -> dict[str, Any]:
        """Read the figures of a recording's report, by the recording's name.

        For each output the mean probabilities, the share of the time in which the model abstained
        and why; the quality of each electrode; markers and ratings.
        """
        path = f"/v1/recordings/{quote(recording, safe='')}/summary"
        return dict(await self._ask(path, timeout=REPORT_SECONDS))

    async def mark(self, session: str, label: str) -> dict[str, Any]:
        """Set a marker in a session now."""
        path = f"/v1/sessions/{quote(session, safe='')}/markers"
        return dict(await self._ask(path, {"label": label}))

    async def start_recording(
        self, session: str, name: str | None = None, title: str | None = None
    ) -> dict[str, Any]:
        """Start a recording of a session; the title may have spaces and any letters."""
        given = {"session": session, "name": name, "title": title}
        new = {key: value for key, value in given.items() if value is not None}
        return dict(await self._ask("/v1/recordings", new))

    async def stop_recording(self, name: str) -> dict[str, Any]:
        """Stop a recording; its file is complete then."""
        return dict(await self._ask(f"/v1/recordings/{quote(name, safe='')}/stop", method="POST"))

    async def _ask(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        method: str | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        try:
            return await asyncio.to_thread(self._service.ask, path, body, method, timeout)
        except UserError as error:
            raise ToolError(str(error)) from error

    async def _read(self, session: str, topic: Topic) -> dict[str, Any] | None:
        """Wait for the next prediction, or quality, and return it; None if none comes."""
        try:
            async with Client(self._service.url, credentials=self._service.credentials) as client:
                await client.subscribe(session, [topic])
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        async for message in client:
                            if isinstance(message, PredictionMessage | QualityMessage):
                                return dict(msgspec.to_builtins(message))
        except UserError as error:
            raise ToolError(str(error)) from error
        return None


def make_server(service: RestClient, allow_control: bool) -> MCPServer:
    """Return a server of these tools; those that change something only if it is allowed."""
    server = MCPServer("mimamba", instructions=INSTRUCTIONS, log_level="WARNING")
    tools = AgentTools(service)
    for read in (tools.sessions, tools.state, tools.quality, tools.recordings, tools.report):
        server.add_tool(read, annotations=READS)
    if allow_control:
        for change in (tools.mark, tools.start_recording, tools.stop_recording):
            server.add_tool(change, annotations=CHANGES)
    return server

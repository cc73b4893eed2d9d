"""A web page of your own: this server follows a session and passes predictions on to the page.

    mimamba serve
    python server.py
    # open http://127.0.0.1:8080

The service accepts browsers only from its own page, so that no other web page can read your EEG.
A page of your own therefore has a server of its own, which subscribes as any program does. Between
server and page are server-sent events, which every browser knows.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse

from mimamba import Client, PredictionMessage

PAGE = Path(__file__).parent / "index.html"


def make_app(url: str, session: str) -> FastAPI:
    """The application: the page, and the events that it reads."""
    app = FastAPI()

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE)

    @app.get("/predictions")
    def predictions() -> StreamingResponse:
        return StreamingResponse(events(url, session), media_type="text/event-stream")

    return app


async def events(url: str, session: str) -> AsyncIterator[str]:
    """One server-sent event for each prediction."""
    async with Client(url) as client:
        await client.subscribe(session, ["prediction"])
        async for message in client:
            if isinstance(message, PredictionMessage):
                body = {"outputs": message.outputs, "reason": message.reason}
                yield f"data: {json.dumps(body)}\n\n"


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8765", help="address of mimamba")
    parser.add_argument("--session", default="simulate-1", help="session to show")
    parser.add_argument("--port", type=int, default=8080, help="port of the page")
    options = parser.parse_args()
    app = make_app(options.url, options.session)
    config = uvicorn.Config(app, host="127.0.0.1", port=options.port, timeout_graceful_shutdown=1)
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()

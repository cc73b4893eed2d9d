"""The published schemas against the messages that are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from mimamba.drivers.driver import LinkChange, Marker, StreamInfo
from mimamba.service.protocol.auth import Auth
from mimamba.service.protocol.messages import Mark, Ping, Position, Subscribe, Unsubscribe, encode
from mimamba.service.protocol.push import Ack, Push, Pushing, Samples, SensorSamples
from mimamba.service.protocol.schema import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    asyncapi,
    json_schema,
    message_tag,
)
from tests.service.live import live, talk
from tests.test_frames import MESSAGES

jsonschema = pytest.importorskip("jsonschema")

ASKED = (
    Subscribe("muse-1", ["signal", "bands"], Position("e", {"signal": 5}), 7),
    Subscribe("muse-1", []),
    Unsubscribe("muse-1"),
    Unsubscribe("muse-1", ["link"], "a"),
    Mark("muse-1", "eyes closed"),
    Mark("muse-1", "eyes closed", 812.5, 3),
    Auth("a-token", id=1),
    Ping(1.5),
    Push("x" * 32, StreamInfo("Muse 2", "00:55", 256.0, ("TP9", "AF7"))),
    Push("x" * 32, StreamInfo("EEG", "y", 250.0, ("C3",), 0.5, 10.0), "a.b", "none", False, 1),
    Samples(
        "muse-1",
        0,
        5,
        np.array([1.5], "<f8").tobytes(),
        np.array([2.5], "<f4").tobytes(),
        -3.25,
        1,
        [Marker(1.5, 5, "x", "y")],
        [LinkChange("lost", 1.0, "z")],
        True,
    ),
    Samples(
        "muse-1",
        0,
        5,
        b"",
        b"",
        -3.25,
        sensors=[SensorSamples("ppg", "counts", 64.0, ["red"], 7, bytes(8), bytes(4))],
        battery=83.5,
    ),
)
PUSHED = (Pushing("push-1", "x" * 32, 7, "a"), Ack("push-1", 6))


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of one message alone."""
    return {"$ref": f"#/$defs/{kind.__name__}", "$defs": json_schema()["$defs"]}


def test_every_message_has_an_example_that_meets_its_schema_and_no_other() -> None:
    examples = (*ASKED, *MESSAGES, *PUSHED)
    assert {*CLIENT_MESSAGES, *SERVER_MESSAGES} == {type(each) for each in examples}
    whole = jsonschema.Draft202012Validator(json_schema())
    for example in examples:
        frame = json.loads(encode(example, binary=False))
        jsonschema.Draft202012Validator(schema_of(type(example))).validate(frame)
        assert [error.message for error in whole.iter_errors(frame)] == []


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "dance"},
        {"type": "subscribe", "session": "a"},
        {"type": "subscribe", "session": "a", "topics": ["mind"]},
        {"type": "mark", "session": "a", "label": 5},
        {"type": "push", "stream": "short", "info": {}},
        {"type": "push", "stream": "x" * 32, "info": {}, "session": "a/b"},
    ],
    ids=str,
)
def test_what_the_service_refuses_does_not_meet_it(frame: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(frame)


@pytest.mark.anyio
async def test_real_frames_meet_what_is_served() -> None:
    with live("simulate://?seed=2&loss=2,0.5&sensors=1") as service:
        service.opened("simulate-1")
        served = service.http.get("/v1/schema.json")
        assert served.headers["content-type"] == "application/schema+json"
        assert served.json() == json.loads(json.dumps(json_schema()))
        assert service.http.get("/v1/asyncapi.json").json() == json.loads(json.dumps(asyncapi()))
        validator = jsonschema.Draft202012Validator(served.json())
        wanted = {"hello", "session", "subscribed", "heartbeat", "pong", "ok", "error"}
        wanted |= {"prediction", "quality", "bands", "marker", "link", "signal"}
        wanted |= {"ppg", "motion", "heart"}
        async with talk(service.url, binary=False) as client:
            topics = ["prediction", "quality", "bands", "marker", "link", "signal"]
            topics += ["ppg", "motion", "heart"]
            await client.say(Subscribe("simulate-1", topics, Position("")))  # type: ignore[arg-type]
            for asked in (Ping(1), Mark("simulate-1", "x", id=1), Mark("nobody", "x")):
                await client.say(asked)
            while wanted:
                frame = json.loads(await client.socket.recv())
                validator.validate(frame)
                wanted.discard(frame["type"])


def test_the_schemas_are_schemas() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for schema in asyncapi()["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)  # AsyncAPI's own dialect


def test_arrays_are_described_as_base64_and_bin() -> None:
    properties = json_schema()["$defs"]["SignalMessage"]["properties"]
    for name, width in (("timestamps", "float64"), ("data", "float32")):
        assert properties[name]["contentEncoding"] == "base64"
        assert properties[name]["description"].startswith(width)
        assert "bin in msgpack" in properties[name]["description"]


def references(tree: object) -> Iterator[str]:
    """All ``$ref`` in a document."""
    if isinstance(tree, list):
        for each in tree:
            yield from references(each)
    elif isinstance(tree, dict):
        if isinstance(tree.get("$ref"), str):
            yield tree["$ref"]
        for each in tree.values():
            yield from references(each)


@pytest.mark.parametrize("document", [asyncapi(), json_schema()], ids=["asyncapi", "schema"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        root, *path = reference.split("/")
        assert root == "#"
        place: Any = document
        for part in path:
            place = place[part]
        assert place


def test_the_asyncapi_document_is_one_and_has_every_message() -> None:
    document = asyncapi()
    # What https://www.asyncapi.com/docs/reference/specification/v3.0.0 requires of it.
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    kinds = {message_tag(kind) for kind in (*CLIENT_MESSAGES, *SERVER_MESSAGES)}
    assert document["components"]["messages"].keys() == kinds
    [(name, channel)] = document["channels"].items()
    assert channel["address"] == "/v1/stream"
    assert channel["messages"].keys() == kinds
    spoken: list[str] = []
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["channel"] == {"$ref": f"#/channels/{name}"}
        # An operation's messages are those of its channel, by reference.
        prefix = f"#/channels/{name}/messages/"
        assert all(each["$ref"].startswith(prefix) for each in operation["messages"])
        spoken += [each["$ref"].removeprefix(prefix) for each in operation["messages"]]
    assert sorted(spoken) == sorted(kinds)
    for kind, message in document["components"]["messages"].items():
        assert message["name"] == kind
        assert message["summary"]
        schema = message["payload"]["$ref"].rsplit("/", 1)[1]
        assert document["components"]["schemas"][schema]["properties"]["type"] == {"enum": [kind]}

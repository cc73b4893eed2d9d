"""Runs of several sessions, whose names may be the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from mimamba.service.bus.bus import publish
from mimamba.service.bus.in_process import Exchange, InProcessBus
from mimamba.service.cluster.failover.bus_recordings import BusRecordings
from mimamba.service.cluster.failover.bus_studies import StudyState
from mimamba.service.cluster.failover.run_keys import RunKeys
from mimamba.service.cluster.subjects import STUDY_KEYS, pack, study_key
from mimamba.service.sessions.session import Session
from mimamba.service.studies.live_study import LiveStudy
from mimamba.service.studies.protocol_file import parse_study
from mimamba.service.studies.study_position import StudyPosition
from tests.service.scripted import staged

STUDY = b"[[step]]\ntext = 'Rest'\nseconds = 600\n"


async def find(_: str) -> Session | None:
    return None


def test_a_run_is_that_of_its_session_alone(tmp_path: Path) -> None:
    protocol = parse_study(STUDY, tmp_path / "rest.toml")

    async def scene(session: Session) -> None:
        bus = InProcessBus(Exchange())
        recordings = BusRecordings(tmp_path, bus, "here", find)
        progress = LiveStudy(session, protocol, recordings).entry().progress
        position = StudyPosition("rest-20261129-101500", protocol, progress, 0.0)
        live = LiveStudy(session, protocol, recordings, position=position)
        place = STUDY_KEYS, StudyState, study_key, "here", recordings, find
        keys: RunKeys[StudyState, LiveStudy] = RunKeys(bus, *place, lambda: [live])
        own = StudyState("here", session.name, position)
        assert keys.is_here(own)
        assert not keys.is_here(StudyState("here", "other", position))
        for name, elsewhere in (("other", False), (session.name, True)):
            state = StudyState("there", name, position)
            await publish(bus, study_key(name), pack(state), only=True)
            await asyncio.to_thread(keys.ask, study_key(name))
            assert live.elsewhere is elsewhere
        assert not keys.is_here(own)

    with staged(None) as stage:
        asyncio.run(scene(stage.session))


def test_a_run_follows_its_recording_from_a_gateway_that_seems_to_be_there(tmp_path: Path) -> None:
    protocol = parse_study(STUDY, tmp_path / "rest.toml")

    async def scene(session: Session) -> None:
        bus = InProcessBus(Exchange())
        await bus.answer("there")
        recordings = BusRecordings(tmp_path, bus, "here", find)
        place = STUDY_KEYS, StudyState, study_key, "here", recordings, find
        keys: RunKeys[StudyState, LiveStudy] = RunKeys(bus, *place, list)
        progress = replace(LiveStudy(session, protocol, recordings).entry().progress, recording="r")
        state = StudyState("there", session.name, StudyPosition("rest", protocol, progress, 0.0))
        assert not await keys._is_left(state)
        await asyncio.to_thread(recordings.start, session, "r", None, None)
        assert await keys._is_left(state)
        namesake = StudyState("there", "other", state.position)
        assert not await keys._is_left(namesake)
        await asyncio.to_thread(recordings.stop, "r", False)

    with staged(None) as stage:
        asyncio.run(scene(stage.session))

"""Events as lines: the fields in them, and those that never are."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from mimamba.service.monitoring.logging import (
    JSONLine,
    TextLine,
    configure_logging,
    log_thread_death,
)


def record(event: str, **extra: object) -> logging.LogRecord:
    return logging.getLogger("mimamba").makeRecord(
        "mimamba", logging.WARNING, __file__, 1, event, (), None, extra=extra
    )


def test_an_event_is_one_json_object() -> None:
    line = JSONLine().format(record("session ended", session="muse-1", reason="lost\nfor good"))
    assert "\n" not in line
    event = json.loads(line)
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "level": "warning",
        "logger": "mimamba",
        "event": "session ended",
        "session": "muse-1",
        "reason": "lost\nfor good",
    }


def test_an_event_is_one_line_for_people() -> None:
    line = TextLine().format(record("session ended", session="muse-1", reason="lost\nfor good"))
    assert line.endswith(" warning session ended session=muse-1 reason=lost for good")


@pytest.mark.parametrize("formatter", [JSONLine(), TextLine()])
def test_only_known_fields_are_reported(formatter: logging.Formatter) -> None:
    line = formatter.format(record("x", session="a", notes="her notes", token="s3cret", data=[1.5]))
    for secret in ("her notes", "s3cret", "1.5"):
        assert secret not in line


def test_what_was_before_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    log, hook = logging.getLogger("mimamba"), threading.excepthook
    with configure_logging("json", None):
        log.info("heard", extra={"session": "muse-1"})
        log.debug("too small")
    log.info("over")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["session"] == "muse-1"
    assert threading.excepthook is hook


def test_a_thread_that_dies_is_reported_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threading, "excepthook", log_thread_death)

    def die() -> None:
        raise ZeroDivisionError("on purpose")

    thread = threading.Thread(target=die, name="session muse-1")
    thread.start()
    thread.join()
    (died,) = caplog.records
    event = json.loads(JSONLine().format(died))
    assert event["worker"] == "session muse-1"
    assert "on purpose" in event["traceback"]

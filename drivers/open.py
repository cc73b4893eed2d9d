"""drivers/open.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mimamba.drivers.driver import Driver, LinkChange
from mimamba.drivers.errors import BadSource
from mimamba.drivers.url import parse_source

if TYPE_CHECKING:
    from mimamba.drivers.formats.recording import Recording


def open_driver(url: str) -> Driver:
    """The driver for a source's URL; nothing is connected until it is entered.

    Vendor libraries are imported only by the scheme that needs them.

    Raises
    ------
    BadSource
        If the URL names a scheme, board or parameter that does not exist.
    """
    source = parse_source(url)
    driver: Driver
    if source.scheme == "simulate":
        from mimamba.drivers.simulator.driver import SimulateDriver

        driver = SimulateDriver(source)
    elif source.scheme == "replay":
        from mimamba.drivers.replay.driver import ReplayDriver

        driver = ReplayDriver(source)
    elif source.scheme == "brainflow":
        from mimamba.drivers.brainflow.driver import BrainFlowDriver

        driver = BrainFlowDriver(source)
    elif source.scheme == "push":
        raise BadSource(
            "a source that can be reached from here",
            f"{url}, which comes by itself",
            "send it from where the device is: mimamba acquire --source URL --to THIS SERVICE",
        )
    else:
        from mimamba.drivers.lsl.driver import LSLDriver

        driver = LSLDriver(source)
    source.finish()
    return driver


def open_recording(url: str) -> Recording:
    """The whole recording of a path or ``replay://`` URL, on the file's own clock.

    Raises
    ------
    BadSource
        If the URL is of another scheme or has parameters that only playing needs.
    BadRecording, BadChannels
        If the file cannot be read, or lacks the channels asked for.
    """
    from mimamba.drivers.channels import ChannelChoice
    from mimamba.drivers.formats.read import read_recording

    source = parse_source(url)
    if source.scheme != "replay":
        raise BadSource("a recording's path", url, "name a file")
    choice, stream, board = ChannelChoice.of(source), source.text("stream"), source.text("board")
    source.finish()
    return read_recording(source.place, choice, stream, board)


def open_source(url: str, on_change: Callable[[LinkChange], None]) -> Driver:
    """As ``open_driver``; a live source's link is kept by a supervisor, which tells its changes."""
    driver = open_driver(url)
    if parse_source(url).scheme == "replay":
        return driver
    from mimamba.drivers.supervision.supervisor import Supervisor

    return Supervisor(lambda: open_driver(url), on_change)

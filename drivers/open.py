"""Open a source by its URL: as a driver, as a supervised driver, or as a complete recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mimamba.drivers.driver import Driver, LinkChange
from mimamba.drivers.errors import BadSource
from mimamba.drivers.url import SCHEMES, parse_source

if TYPE_CHECKING:
    from mimamba.drivers.channels import ChannelChoice
    from mimamba.drivers.formats.read import ReadOptions
    from mimamba.drivers.formats.recording import Recording
    from mimamba.drivers.formats.xdf.reader import XDFStream

Connect: TypeAlias = Callable[[str, Callable[[LinkChange], None]], Driver]
"""Makes the driver of a URL, which reports the changes of its link."""


def open_driver(url: str) -> Driver:
    """Make the driver for a source's URL. It connects when it is entered.

    A vendor's library is imported only for the scheme that needs it.

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
        _check_no_scheme(source.target)
        from mimamba.drivers.replay.driver import ReplayDriver

        driver = ReplayDriver(source)
    elif source.scheme == "brainflow":
        from mimamba.drivers.brainflow.driver import BrainFlowDriver

        driver = BrainFlowDriver(source)
    elif source.scheme == "muse":
        from mimamba.drivers.muse.driver import MuseDriver

        driver = MuseDriver(source)
    elif source.scheme == "osc":
        from mimamba.drivers.osc.driver import OSCDriver

        driver = OSCDriver(source)
    elif source.scheme == "push":
        raise BadSource(
            "a source that this machine can connect to",
            f"{url}, which another machine sends",
            "run `mimamba acquire --source URL --to ADDRESS` on the machine with the device",
        )
    else:
        from mimamba.drivers.lsl.driver import LSLDriver

        driver = LSLDriver(source)
    source.check_unused()
    return driver


def _check_no_scheme(path: str) -> None:
    """Raise BadSource if a path that does not exist is the name of a scheme, e.g. ``muse``."""
    if path.lower() in SCHEMES and not Path(path).exists():
        raise BadSource(
            "a source's URL or a recording's path", path, f"did you mean {path.lower()}:// ?"
        )


def open_recording(url: str) -> Recording:
    """Read the complete recording of a path or ``replay://`` URL, on the file's own clock.

    Raises
    ------
    BadSource
        If the URL has another scheme, or parameters that are only for playing.
    BadRecording, BadChannels
        If the file cannot be read or does not have the channels asked for.
    """
    from mimamba.drivers.formats.read import read_recording

    path, choice, options = _recording_choice(url)
    return read_recording(path, choice, options)


def open_with_streams(url: str) -> tuple[Recording, list[XDFStream]]:
    """Read a recording as ``open_recording`` does, and all streams of an XDF file; none of others.

    The file is read once.
    """
    from mimamba.drivers.formats.read import read_with_streams

    path, choice, options = _recording_choice(url)
    return read_with_streams(path, choice, options)


def _recording_choice(url: str) -> tuple[str, ChannelChoice, ReadOptions]:
    """Return the path of a recording's URL, and what is wanted of it; raises BadSource."""
    from mimamba.drivers.channels import ChannelChoice
    from mimamba.drivers.formats.read import ReadOptions

    source = parse_source(url)
    if source.scheme != "replay":
        raise BadSource("a recording's path", url, "name a file")
    choice, options = ChannelChoice.from_url(source), ReadOptions.from_url(source)
    source.check_unused()
    return source.target, choice, options


def open_source(url: str, on_change: Callable[[LinkChange], None]) -> Driver:
    """Make the driver for a source's URL; a live source gets a supervisor, which reconnects it.

    ``on_change`` is called at each change of the connection. Raises BadSource.
    """
    driver = open_driver(url)
    if parse_source(url).scheme == "replay":
        return driver
    from mimamba.drivers.supervision.supervisor import Supervisor

    return Supervisor(lambda: open_driver(url), on_change)

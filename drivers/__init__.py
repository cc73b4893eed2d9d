"""Where samples come from: headsets, LSL streams, recordings, the simulator."""

from __future__ import annotations

from drivers.base import Driver
from drivers.source import parse_source


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
        from drivers.simulate import SimulateDriver

        driver = SimulateDriver(source)
    elif source.scheme == "replay":
        from drivers.replay import ReplayDriver

        driver = ReplayDriver(source)
    elif source.scheme == "brainflow":
        from drivers.brainflow import BrainFlowDriver

        driver = BrainFlowDriver(source)
    else:
        from drivers.lsl import LSLDriver

        driver = LSLDriver(source)
    source.finish()
    return driver

"""``mimamba replay`` and ``mimamba simulate``: a headset for other programs, on the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

from rich.console import Console

from mimamba.drivers.lsl.outlet import Outlet
from mimamba.drivers.open import open_driver


def replay(path: Path, speed: float, loop: bool, name: str | None) -> None:
    """Play a recording as a headset until its end, or until interrupted.

    Raises
    ------
    DriverError
        If it cannot be read, or liblsl does not load.
    """
    query = urlencode({"speed": f"{speed:g}", "loop": int(loop)})
    play(f"replay://{quote(str(path))}?{query}", name, speed)


def simulate(scenario: str, seed: int, name: str | None) -> None:
    """Simulate a headset until interrupted; raises DriverError."""
    play(f"simulate://?{urlencode({'scenario': scenario, 'seed': seed})}", name, 1.0)


def play(url: str, name: str | None, speed: float) -> None:
    """Send a source's samples out as they come; those of a recording come ``speed`` times as fast.

    The stream's nominal rate is the one at which its samples come.
    """
    console = Console(stderr=True)
    with open_driver(url) as driver:
        info = replace(driver.info, sfreq=driver.info.sfreq * speed)
        name = name or info.name
        with Outlet(info, name) as outlet:
            facts = f"{info.sfreq:g} Hz, {', '.join(info.ch_names)}"
            told = [
                f"On LSL as {name!r} ({facts}) and {name + ' markers'!r}; Ctrl+C stops it.",
                "Everyone on this network can read these streams.",
                *info.notices,
            ]
            for line in told:
                console.print(line, markup=False, highlight=False)
            for chunk in driver:
                outlet.push(chunk)

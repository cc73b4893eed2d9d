"""Commands ``replay`` and ``simulate``: a headset on LSL for other programs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mimamba.service.cli.options import (
    RECORDINGS,
    DataDir,
    complete_recording,
    find_recording,
    one_line_errors,
)

Target = Annotated[
    Literal["lsl"], typer.Option(help="Output: lsl, the Lab Streaming Layer on the network.")
]
Name = Annotated[
    str | None,
    typer.Option(help="Name of the stream. [default: the source's name]", show_default=False),
]

app = typer.Typer()


@app.command(rich_help_panel=RECORDINGS)
def replay(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help="Name or title of a recording, or path of any file.",
            autocompletion=complete_recording,
        ),
    ],
    to: Target,  # noqa: ARG001  it has only one value
    speed: Annotated[float, typer.Option(help="Speed, 0.1 to 64 times the recorded pace.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Restart at the end.")] = False,
    name: Name = None,
    data_dir: DataDir = None,
) -> None:
    """Play a recording to other programs as if it were a headset."""
    with one_line_errors():
        from urllib.parse import quote, urlencode

        query = urlencode({"speed": f"{speed:g}", "loop": int(loop)})
        path = find_recording(recording, data_dir)
        send_source(f"replay://{quote(path)}?{query}", name, speed)


@app.command(rich_help_panel=RECORDINGS)
def simulate(
    to: Target,  # noqa: ARG001  it has only one value
    scenario: Annotated[
        str, typer.Option(help="Scenario of the simulation; `mimamba sources` lists them.")
    ] = "tour",
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    name: Name = None,
) -> None:
    """Simulate a headset for other programs."""
    with one_line_errors():
        from urllib.parse import urlencode

        send_source(f"simulate://?{urlencode({'scenario': scenario, 'seed': seed})}", name)


def send_source(url: str, name: str | None, speed: float = 1.0) -> None:
    """Send a source's samples to LSL as they come, until its end or Ctrl+C.

    Parameters
    ----------
    url
        URL of the source.
    name
        Name of the stream; None for the source's.
    speed
        Multiple of the recorded pace. The nominal rate of the stream is multiplied by it.

    Raises
    ------
    DriverError
        If the source cannot be opened, or liblsl does not load.
    """
    from dataclasses import replace

    from rich.console import Console

    from mimamba.drivers.lsl.outlet import SignalOutlet
    from mimamba.drivers.open import open_driver

    console = Console(stderr=True)
    with open_driver(url) as driver:
        info = replace(driver.info, sfreq=driver.info.sfreq * speed)
        name = name or info.name
        with SignalOutlet(info, name) as outlet:
            facts = f"{info.sfreq:g} Hz, {', '.join(info.ch_names)}"
            lines = [
                f"Sending LSL streams {name!r} ({facts}) and {name + ' markers'!r}. Ctrl+C stops.",
                "Everyone on this network can read these streams.",
                *info.notices,
            ]
            for line in lines:
                console.print(line, markup=False, highlight=False)
            for chunk in driver:
                outlet.push(chunk)

"""Commands that play for other programs: ``replay``, ``simulate``.

They need no running service. Each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamba.service.cli.options import Name, To, one_line_errors

app = typer.Typer()


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="A recording's path.")],
    to: To,  # noqa: ARG001  its one value is checked
    speed: Annotated[float, typer.Option(help="0.1 to 64 times its own pace.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin anew at its end.")] = False,
    name: Name = None,
) -> None:
    """Play a recording for other programs, which take it for a headset."""
    with one_line_errors():
        from mimamba.service.cli.play_out import replay as run

        run(recording, speed, loop, name)


@app.command()
def simulate(
    to: To,  # noqa: ARG001  its one value is checked
    scenario: Annotated[str, typer.Option(help="As in simulate://.")] = "tour",
    seed: Annotated[int, typer.Option(help="The person and the moment.")] = 0,
    name: Name = None,
) -> None:
    """Simulate a headset for other programs."""
    with one_line_errors():
        from mimamba.service.cli.play_out import simulate as run

        run(scenario, seed, name)

"""Follow a session's predictions and plot one probability over time.

    mimamba serve
    python subscribe_and_plot.py --output valence --label high

The plot needs matplotlib. With --save FILE the program stops after --seconds and writes a picture.
"""

import argparse
import asyncio
from pathlib import Path

import matplotlib.pyplot as plt

from mimamba import Client, PredictionMessage


async def follow(options: argparse.Namespace) -> None:
    """Read predictions until time is over, and redraw after each of them."""
    seconds: list[float] = []
    probabilities: list[float] = []
    figure, axes = plt.subplots()
    axes.set(xlabel="time (s)", ylabel=f"p({options.output} = {options.label})", ylim=(0, 1))
    (line,) = axes.plot([], [], marker=".")
    start = None
    async with Client(options.url) as client:
        await client.subscribe(options.session, ["prediction"])
        async for message in client:
            if not isinstance(message, PredictionMessage):
                continue
            start = start or message.timestamp
            # Where the signal is poor, there is no prediction. The line has a gap there.
            value = message.outputs[options.output][options.label] if message.outputs else None
            seconds.append(message.timestamp - start)
            probabilities.append(float("nan") if value is None else value)
            line.set_data(seconds, probabilities)
            axes.set_xlim(max(0.0, seconds[-1] - 60), max(1.0, seconds[-1]))
            print(f"{seconds[-1]:7.2f} s  {message.reason or f'{value:.2f}'}", flush=True)
            if options.save is None:
                plt.pause(0.001)
            elif seconds[-1] >= options.seconds:
                break
    if options.save is not None:
        figure.savefig(options.save)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8765", help="address of the service")
    parser.add_argument("--session", default="simulate-1", help="session to follow")
    parser.add_argument("--output", default="valence", help="output of the model")
    parser.add_argument("--label", default="high", help="label of that output")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long, with --save")
    parser.add_argument("--save", type=Path, help="write a picture instead of opening a window")
    options = parser.parse_args()
    if options.save is not None:
        plt.switch_backend("agg")
    asyncio.run(follow(options))


if __name__ == "__main__":
    main()

"""``mimamba train``: make a checkpoint, with its progress in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models import demo
from models.training import Progress as Epoch


def train_demo(out: Path, seed: int) -> None:
    """Train the demo checkpoint and write it and its card; print its scores."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Simulating people", total=None)

        def show(epoch: Epoch) -> None:
            text = (
                f"epoch {epoch.epoch} of at most {epoch.epochs}, loss {epoch.loss:.3f}, "
                f"validation balanced accuracy {epoch.validation.balanced_accuracy:.3f}"
            )
            progress.update(bar, description=text, completed=epoch.epoch, total=epoch.epochs)

        checkpoint = demo.train_demo(out, seed, show)
    Console().print(f"{out}: SHA-256 {checkpoint.sha256}", highlight=False)
    for name, value in checkpoint.scores.items():
        Console().print(f"  {name}: {value:.3f}", highlight=False)

"""Command ``score``: predictions of a complete recording, offline and at full speed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.names import DEFAULT_MODEL
from mimamba.service.cli.options import (
    RECORDINGS,
    DataDir,
    Memory,
    RecordingSource,
    find_recording,
    one_line_errors,
    recordings_folder,
)
from mimamba.service.server.console import print_json

if TYPE_CHECKING:
    from mimamba.models.checkpoints.checkpoint import Checkpoint
    from mimamba.models.prediction import Prediction
    from mimamba.models.signal.baseline import Baseline

app = typer.Typer()

PERSON = "person:"
"""Start of a source of rest that is a stored baseline."""


class OptionsClash(Mismatch):
    """Two options cannot be used together."""


@app.command(rich_help_panel=RECORDINGS)
def score(
    recording: RecordingSource,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Name or path of a checkpoint. [default: {DEFAULT_MODEL}]", show_default=False
        ),
    ] = None,
    memory: Memory = True,
    baseline: Annotated[
        float | None,
        typer.Option(
            help="Length of good signal at the start that is the person's rest, s. "
            "[default: as in the training]",
            min=10,
            max=600,
            show_default=False,
        ),
    ] = None,
    baseline_from: Annotated[
        str | None,
        typer.Option(
            help="Another recording, which begins with the person's rest: its path, name or title; "
            "or person:P01 for the stored baseline of P01. "
            "[default: the recording itself]",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compute the recorded predictions again, and compare them. The exit status is 1 "
            "if they differ.",
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Compute the predictions of a recording, and print one JSON object for each.

    The pipeline is that of a live session, at full speed.
    """
    with one_line_errors():
        from mimamba.service.storage.own_checkpoints import models_folder

        models = models_folder(data_dir)
        recording = find_recording(recording, data_dir)
        if verify and baseline_from:
            raise OptionsClash(
                "--verify without --baseline-from, since a recording has its own baselines",
                "both",
                "leave out one of them",
            )
        if verify:
            from mimamba.service.recordings.verify import verify as verify_predictions

            if not verify_predictions(recording, model, models):
                raise typer.Exit(1)
            return
        score_recording(
            recording, model or DEFAULT_MODEL, memory, baseline, models, baseline_from, data_dir
        )


def score_recording(
    recording: str,
    model: str,
    memory: bool,
    baseline: float | None = None,
    models: Path | None = None,
    baseline_from: str | None = None,
    data_dir: Path | None = None,
) -> None:
    """Print one JSON object per prediction; timestamps are on the recording's own clock.

    Parameters
    ----------
    recording
        Path or replay:// URL.
    model
        Name or path of a checkpoint.
    memory
        Carry the model's state from one window to the next.
    baseline
        Length of the person's rest at the start, in good signal, s; the signal after it is aligned
        to it. None for the length that the model was trained with.
    models
        Folder of the person's own checkpoints.
    baseline_from
        Source of the baseline, as for ``find_baseline``; the whole recording is aligned to it then.
    data_dir
        Folder of recordings and people, in which ``baseline_from`` may name one.

    Raises
    ------
    DriverError, CheckpointError, MontageError, SignalError
        If the recording or the model cannot be used, if they do not fit, or if a baseline is given
        for a model that was trained without.
    UserError
        If there is no such baseline.
    """
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from mimamba.drivers.open import open_recording
    from mimamba.models.checkpoints.checkpoint import CheckpointError, load_checkpoint
    from mimamba.models.decoding.decoder import OFFLINE_CHUNK, StreamingDecoder

    torch.set_num_threads(1)  # 311 hops take 0.6 s on one thread, up to 14 s on two
    checkpoint = load_checkpoint(model, models)
    if (baseline or baseline_from) and not checkpoint.baseline:
        option = "--baseline-from" if baseline_from else "--baseline"
        raise CheckpointError(
            "a model that was trained with baselines",
            f"{checkpoint.name}, which was not",
            f"leave {option} out, or choose another --model",
        )
    signal = open_recording(recording)
    console = Console(stderr=True)
    for notice in (*signal.info.notices, checkpoint.notice):
        if notice:
            console.print(notice, style="yellow", highlight=False, markup=False)
    decoder = StreamingDecoder(checkpoint, signal.info, None if memory else 0.0)
    if baseline_from:
        decoder.set_baseline(find_baseline(baseline_from, checkpoint, baseline, data_dir))
    elif seconds := baseline or checkpoint.baseline:
        decoder.start_baseline(seconds)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Scoring", total=signal.n_times)
        for chunk in signal.chunks(round(OFFLINE_CHUNK * signal.info.sfreq)):
            for prediction in decoder.feed(chunk):
                print_json(_without_absent(prediction))
            progress.advance(bar, chunk.n_times)
    sys.stdout.flush()


def _without_absent(prediction: Prediction) -> dict[str, object]:
    """Return a prediction's fields, without those that may be absent and are."""
    from dataclasses import fields

    found = {each.name: getattr(prediction, each.name) for each in fields(prediction)}
    if prediction.set is None:
        del found["set"]
    return found


def find_baseline(
    source: str, checkpoint: Checkpoint, seconds: float | None, data_dir: Path | None
) -> Baseline:
    """Find a person's baseline outside of the recording.

    Parameters
    ----------
    source
        A recording that begins with rest, as for ``find_recording``, or ``person:`` and a
        pseudonym for a stored baseline.
    checkpoint
        The model.
    seconds
        Length of the rest, s; None for the length that the model was trained with.
    data_dir
        Folder of recordings and people.

    Raises
    ------
    NoRest
        If there is no such baseline, or less rest.
    OptionsClash
        If a length is given for a stored baseline.
    UserError
        If the recording, the person or the data folder cannot be used.
    """
    from mimamba.drivers.open import open_recording
    from mimamba.models.signal.rest import NoRest, measure_baseline
    from mimamba.service.people.people import People, people_folder

    if not source.startswith(PERSON):
        rest = open_recording(find_recording(source, data_dir))
        length = seconds or checkpoint.baseline
        return measure_baseline(rest, checkpoint.montage, checkpoint.signal, length)
    if seconds is not None:
        raise OptionsClash(
            "a stored baseline with its own length", f"--baseline {seconds:g}", "leave it out"
        )
    person = source.removeprefix(PERSON)
    people = People(people_folder(recordings_folder(data_dir)))
    stored = people.get(person).baseline_for(checkpoint)
    if stored is None:
        raise NoRest(
            f"a stored baseline of {person} for {checkpoint.name} "
            f"({', '.join(checkpoint.montage)})",
            "none",
            "take one in a session, or give a recording of the person's rest",
        )
    return stored.baseline

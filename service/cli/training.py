"""Commands that train and evaluate models on data sets: ``train``, ``evaluate``.

They need no running service. Each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mimamba.service.cli.options import DataDir, one_line_errors

app = typer.Typer()
train = typer.Typer(
    help="Train a checkpoint: the demo, or one of your own on your copy of a data set.",
    no_args_is_help=True,
)
app.add_typer(train, name="train")

BIDS = "Of a BIDS data set"

Root = Annotated[Path, typer.Option(help="The data set's folder; nothing is downloaded.")]
Outputs = Annotated[
    str | None,
    typer.Option(
        help="What to predict, with commas between: valence,arousal. For BIDS, what its one output "
        "is called. [default: all that the set has]",
        show_default=False,
    ),
]
Montage = Annotated[
    str, typer.Option(help="muse, ganglion, or electrodes with commas between: Fp1,Fp2,AF3,AF4.")
]
People = Annotated[
    str | None,
    typer.Option(help="Whose trials: s01,s02. [default: everybody's]", show_default=False),
]
Baseline = Annotated[
    float,
    typer.Option(
        help="Seconds of each person's rest that their windows are aligned by, where the set has "
        "rest. [default: none]",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.", min=0)]
Epochs = Annotated[
    int | None,
    typer.Option(help="At most so many. [default: the recipe's]", show_default=False, min=1),
]
Label = Annotated[
    str | None,
    typer.Option(
        help="Where labels come from: task, trial_type, participants:COLUMN or scans:COLUMN. "
        "[default: task]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Rest = Annotated[
    str | None, typer.Option(help="The task that is a person's rest.", rich_help_panel=BIDS)
]
Tasks = Annotated[
    str | None,
    typer.Option(
        help="The tasks that make trials: a,b. [default: all]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="The labels that make trials: a,b. [default: all]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        help="How long an event lasts. [default: as its table says, or until the next]",
        show_default=False,
        rich_help_panel=BIDS,
    ),
]


@train.command("demo")
def train_demo(
    out: Annotated[Path, typer.Option(help="Where to write the checkpoint.")] = Path(
        "demo.safetensors"
    ),
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Train the demo checkpoint on simulated EEG; the shipped one was made so."""
    with one_line_errors():
        from mimamba.service.cli.train import train_demo as run

        run(out, seed)


@train.command("bids", short_help="On any BIDS-EEG data set.")  # the last one is listed first
@train.command("seed", short_help="On SEED: Preprocessed_EEG.")
@train.command("dreamer", short_help="On DREAMER: DREAMER.mat.")
@train.command("deap", short_help="On DEAP, preprocessed: s01.dat .. s32.dat, or .mat.")
def train_on(
    context: typer.Context,
    root: Root,
    name: Annotated[
        str | None,
        typer.Option(
            help="What to call it, and to ask for it by: --model NAME. [default: the file's name]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write it. [default: among your own models, by its name]",
            show_default=False,
        ),
    ] = None,
    outputs: Outputs = None,
    montage: Montage = "muse",
    people: People = None,
    baseline: Baseline = 0.0,
    recipe: Annotated[str, typer.Option(help="spectral (ours) or paper.")] = "spectral",
    epochs: Epochs = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted.")
    ] = False,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="An evaluation.json of mimamba evaluate, with the same options: its scores go "
            "into the checkpoint.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Of the weights. [default: not stated; the data set's own terms hold]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option(help="What computes; cuda is an NVIDIA GPU.")
    ] = "cpu",
    label: Label = None,
    rest: Rest = None,
    tasks: Tasks = None,
    classes: Classes = None,
    seconds: Seconds = None,
    data_dir: DataDir = None,
) -> None:
    """Train a checkpoint of your own on your copy of this data set.

    People who are held out choose for how many epochs; then it learns from everybody. Its progress
    is kept at every epoch: see --resume.
    """
    with one_line_errors():
        from mimamba.service.cli.dataset_options import DataFlags
        from mimamba.service.cli.train import TrainFlags, train_on

        bids = (label, rest, tasks, classes, seconds)
        kind = str(context.info_name)
        data = DataFlags(kind, root, outputs, montage, people, baseline, *bids)
        train_on(
            data,
            TrainFlags(name, out, recipe, epochs, seed, resume, scores, licence, device, data_dir),
        )


@app.command()
def evaluate(
    kind: Annotated[
        Literal["deap", "dreamer", "seed", "bids"], typer.Argument(help="Which data set.")
    ],
    root: Root,
    out: Annotated[
        Path, typer.Option(help="The folder for evaluation.txt, evaluation.json, evaluation.png.")
    ],
    protocol: Annotated[
        Literal["paper", "trial", "subject", "all"],
        typer.Option(
            help="What is left out to be tested: people (subject), trials of known people (trial), "
            "or single windows, which leaks (paper)."
        ),
    ] = "all",
    folds: Annotated[int, typer.Option(help="At most so many.", min=2)] = 5,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="spectral (ours) or paper; may be given several times. [default: spectral]",
            show_default=False,
        ),
    ] = None,
    rivals: Annotated[
        bool, typer.Option("--rivals/--no-rivals", help="Other people's methods beside ours.")
    ] = True,
    ablations: Annotated[
        bool, typer.Option("--ablations/--no-ablations", help="Ours without one of its parts.")
    ] = True,
    permute: Annotated[
        bool, typer.Option("--permute", help="Permute the labels first: all must be at chance.")
    ] = False,
    outputs: Outputs = None,
    montage: Montage = "muse",
    people: People = None,
    baseline: Baseline = 0.0,
    epochs: Epochs = None,
    seed: Seed = 0,
    label: Label = None,
    rest: Rest = None,
    tasks: Tasks = None,
    classes: Classes = None,
    seconds: Seconds = None,
) -> None:
    """How good the network is on your copy of a data set, beside rivals, under three protocols.

    Nothing is chosen on what is tested. It needs pip install 'mimamba[train]'; published networks
    as rivals need 'mimamba[rivals]'.
    """
    with one_line_errors():
        from mimamba.service.cli.dataset_options import DataFlags
        from mimamba.service.cli.evaluate import EvaluateFlags
        from mimamba.service.cli.evaluate import evaluate as run

        bids = (label, rest, tasks, classes, seconds)
        data = DataFlags(kind, root, outputs, montage, people, baseline, *bids)
        chosen = tuple(recipe or ["spectral"])
        run(
            data,
            EvaluateFlags(out, protocol, folds, chosen, rivals, ablations, permute, epochs, seed),
        )

"""Command ``evaluate personal``: how far the verdicts on a person's own output can be trusted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mimamba.service.cli.dataset_options import Montage, Seed
from mimamba.service.cli.options import MODELS, one_line_errors

if TYPE_CHECKING:
    from mimamba.models.personal.comparison import ComparedPerson
    from mimamba.models.personal.verdict_counts import PersonRecording, VerdictCount

NAME = "evaluate personal"
"""Two words: ``main`` leads ``evaluate`` with this argument here."""

app = typer.Typer()


@app.command(NAME, rich_help_panel=MODELS)
def evaluate_personal(
    measure: Annotated[
        Literal["false", "power", "flips", "seconds", "blocks"],
        typer.Argument(
            help="False verdicts where nothing changes, power where a change is planted, the "
            "effect of flipping one rating, accuracy over seconds of training, or a comparison of "
            "features on blocks."
        ),
    ],
    root: Annotated[
        list[Path],
        typer.Option(
            help="Folder of a BIDS data set, repeat for several; or for blocks that of UNIVERSE."
        ),
    ],
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Tasks to use, separated by commas; for seconds and blocks, the two states. "
            "[default: all]",
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(
            help="Two types of events that begin a block, separated by a comma. [default: each "
            "recording is in one state, its task]",
            show_default=False,
        ),
    ] = None,
    rating: Annotated[
        Literal["valence", "arousal"],
        typer.Option(help="With UNIVERSE: rating by which a moment counts as high or low."),
    ] = "valence",
    cut: Annotated[
        float | None,
        typer.Option(
            help="Length of a block, s. [default: an event's own, or the whole recording; with "
            "UNIVERSE the 30 s before a rating]",
            min=5,
            max=600,
            show_default=False,
        ),
    ] = None,
    montage: Montage = "muse",
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint whose tokens and states are compared as well. [default: none]",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(help="Random orders of blocks for each recording.", min=1)
    ] = 10,
    blocks: Annotated[
        list[int] | None,
        typer.Option(
            help="Number of blocks, an even number, repeat for several. [default: 12]",
            min=4,
            max=40,
            show_default=False,
        ),
    ] = None,
    flipped: Annotated[
        int, typer.Option(help="Blocks of each kind that are labelled the wrong way.", min=0)
    ] = 0,
    effect: Annotated[
        list[str] | None,
        typer.Option(
            help="Planted change as LOW-HIGH:DB or LOW-HIGH:DB@ELECTRODES: 8-13:1.5, "
            "20-40:1.5@AF7+AF8; repeat for several. [default: both of these, and 8-13:2; for "
            "flips, the first]",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        Literal["below-20", "above-20", "below-40"],
        typer.Option(help="Features of the head whose power is measured."),
    ] = "below-20",
    shortest: Annotated[
        float,
        typer.Option(help="Leave out recordings whose blocks would be shorter, s.", min=7, max=30),
    ] = 7.0,
    permute: Annotated[
        bool,
        typer.Option(
            "--permute",
            help="For blocks: exchange their states at random first; every result should be at "
            "chance.",
        ),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Measure the verdicts of personal calibrations on your recordings, without a person.

    Nothing is trained on other people, and nothing is written.
    """
    with one_line_errors():
        from mimamba.models.datasets.universe import is_universe
        from mimamba.models.signal.montage import parse_montage

        electrodes = parse_montage(montage)
        names = _split(tasks)
        counts = _even(blocks or [12])
        if any(is_universe(each) for each in root):
            _print_universe(measure, root, rating, electrodes, model, cut, permute, seed)
            return
        if measure in ("seconds", "blocks"):
            kinds = _pair(_split(events) or names)
            if measure == "blocks":
                _print_blocks(
                    root, names, kinds, electrodes, model, bool(events), cut, permute, seed
                )
            else:
                _print_seconds(root, kinds, electrodes, draws, seed)
            return
        _check_flipped(flipped, counts)
        people = _people(root, names)
        if measure == "false":
            for n_blocks in counts:
                _print_false(people, electrodes, draws, n_blocks, shortest, seed)
            return
        if measure == "flips":
            _print_flips(people, electrodes, effect, draws, counts, shortest, seed)
            return
        _print_power(people, electrodes, effect, draws, counts, features, flipped, shortest, seed)


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _pair(names: tuple[str, ...]) -> tuple[str, str]:
    from mimamba.drivers.errors import Mismatch

    if len(set(names)) != 2:
        raise Mismatch(
            "two states",
            ", ".join(names) or "none",
            "name two tasks with --tasks, or two types of events with --events",
        )
    return names[0], names[1]


def _even(counts: list[int]) -> list[int]:
    from mimamba.drivers.errors import Mismatch

    for count in counts:
        if count % 2:
            raise Mismatch("an even number of blocks", f"{count}", "correct --blocks")
    return counts


def _check_flipped(flipped: int, counts: list[int]) -> None:
    from mimamba.drivers.errors import Mismatch

    if 2 * flipped > min(counts):
        raise Mismatch(
            f"fewer blocks of each kind that are labelled the wrong way than {min(counts) // 2}",
            f"{flipped}",
            "correct --flipped",
        )


def _people(roots: list[Path], tasks: tuple[str, ...]) -> list[PersonRecording]:
    from mimamba.models.personal.comparison import read_people

    return [one for one, _ in read_people(roots, tasks)]


def _print(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _describe(count: VerdictCount) -> str:
    """Facts about the draws: how many, from whom, and how long their blocks were."""
    lengths = sorted(count.seconds) or [0.0]
    return (
        f"{count.draws} pseudo-calibrations of {len(count.recordings)} recordings of "
        f"{len(count.people)} people, blocks of {lengths[0]:.0f} to {lengths[-1]:.0f} s "
        f"(median {lengths[len(lengths) // 2]:.0f} s)"
    )


def _shares(count: VerdictCount) -> str:
    n = max(count.draws, 1)
    parts = ", ".join(
        f"{name} {number / n:.3f}"
        for name, number in sorted(count.verdicts.items())
        if name != "too few"
    )
    return f"served {count.served / n:.3f}, test passed {count.passed / n:.3f} ({parts})"


def _print_false(
    people: list[PersonRecording],
    montage: tuple[str, ...],
    draws: int,
    n_blocks: int,
    shortest: float,
    seed: int,
) -> None:
    from mimamba.models.personal.verdict_counts import count_false

    for count in count_false(people, montage, draws, n_blocks, shortest, seed):
        _print(f"{count.name}, {n_blocks} blocks: {_describe(count)}")
        _print(f"  {_shares(count)}")
        n = max(count.draws, 1)
        _print(f"  random windows would have served {count.random / n:.3f}")


def _print_power(
    people: list[PersonRecording],
    montage: tuple[str, ...],
    effects: list[str] | None,
    draws: int,
    counts: list[int],
    features: Literal["below-20", "above-20", "below-40"],
    flipped: int,
    shortest: float,
    seed: int,
) -> None:
    from mimamba.models.personal.pseudo_calibrations import parse_effect
    from mimamba.models.personal.verdict_counts import count_found

    for text in effects or ["8-13:1.5", "8-13:2", "20-40:1.5@AF7+AF8"]:
        effect = parse_effect(text)
        for n_blocks in counts:
            count = count_found(
                people, montage, effect, draws, n_blocks, features, flipped, shortest, seed
            )
            wrong = f", {flipped} + {flipped} labelled the wrong way" if flipped else ""
            _print(f"{text}, {features}, {n_blocks} blocks{wrong}: {_describe(count)}")
            _print(f"  {_shares(count)}")


def _print_flips(
    people: list[PersonRecording],
    montage: tuple[str, ...],
    effects: list[str] | None,
    draws: int,
    counts: list[int],
    shortest: float,
    seed: int,
) -> None:
    from mimamba.models.personal.pseudo_calibrations import parse_effect
    from mimamba.models.personal.verdict_counts import count_raised

    for text in (None, *(effects or ["8-13:1.5"])):
        effect = parse_effect(text) if text else None
        for n_blocks in counts:
            count = count_raised(people, montage, effect, draws, n_blocks, shortest, seed)
            _print(
                f"{text or 'nothing planted'}, {n_blocks} blocks: of {count.flips} ratings that "
                f"were flipped, {count.raised} raised a verdict and {count.lowered} took an output "
                "away"
            )


def _print_seconds(
    roots: list[Path], kinds: tuple[str, str], montage: tuple[str, ...], draws: int, seed: int
) -> None:
    from mimamba.models.personal.learning_curve import accuracies_over_seconds

    people = _people(roots, kinds)
    _print("windows of each state, one per second: single windows, and smoothed as served")
    for each in accuracies_over_seconds(people, kinds, montage, draws, seed):
        n = max(len(each.single), 1)
        _print(
            f"{each.seconds:3}, {each.features}: {sum(each.single) / n:.3f}, "
            f"{sum(each.smoothed) / n:.3f} ({len(each.single)} people)"
        )


def _print_blocks(
    roots: list[Path],
    tasks: tuple[str, ...],
    kinds: tuple[str, str],
    montage: tuple[str, ...],
    model: str | None,
    events: bool,
    cut: float | None,
    permute: bool,
    seed: int,
) -> None:
    import torch

    from mimamba.models.checkpoints.checkpoint import load_checkpoint
    from mimamba.models.personal.comparison import compare_features, read_people

    torch.set_num_threads(1)
    checkpoint = load_checkpoint(model) if model else None
    people = list(read_people(roots, tasks))
    compared = compare_features(
        people, montage, kinds, checkpoint, events, cut, permute=permute, seed=seed
    )
    _print_compared(compared)


def _print_universe(
    measure: str,
    roots: list[Path],
    rating: Literal["valence", "arousal"],
    montage: tuple[str, ...],
    model: str | None,
    cut: float | None,
    permute: bool,
    seed: int,
) -> None:
    import torch

    from mimamba.drivers.errors import Mismatch
    from mimamba.models.checkpoints.checkpoint import load_checkpoint
    from mimamba.models.datasets.universe import read_universe
    from mimamba.models.personal.rated_comparison import RATED_SECONDS, compare_rated

    if measure != "blocks":
        raise Mismatch("blocks with UNIVERSE", measure, "name the measure blocks")
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(model) if model else None
    sessions = (session for root in roots for session in read_universe(root))
    seconds = cut or RATED_SECONDS
    _print(f"{rating}, low against high, {seconds:g} s before each rating")
    _print_compared(
        compare_rated(sessions, montage, rating, checkpoint, seconds, permute=permute, seed=seed)
    )


def _print_compared(compared: list[ComparedPerson]) -> None:
    from mimamba.models.personal.verdict import AccuracyTest

    for one in compared:
        _print(f"{one.person}, {one.n_blocks[0]} + {one.n_blocks[1]} blocks")
        for name, scores in one.scores.items():
            _print(f"  {name:9} {AccuracyTest.of(scores)}")
    if not compared:
        _print("No person has enough blocks of both kinds.")
        return
    _print(f"mean of {len(compared)} people")
    for name in compared[0].scores:
        every = [AccuracyTest.of(one.scores[name]) for one in compared]
        accuracy = sum(each.accuracy for each in every) / len(every)
        passed = sum(each.passed for each in every) / len(every)
        _print(f"  {name:9} {accuracy:.3f}, test passed {passed:.3f}")

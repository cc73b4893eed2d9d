"""Command ``calibrate``: a person's own output from a recording with blocks, and its verdict."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mimamba.service.cli.dataset_options import Montage, Seed
from mimamba.service.cli.options import (
    RECORDINGS,
    SERVICE_URL,
    CaFile,
    Json,
    TokenFile,
    Url,
    credentials,
    one_line_errors,
)

if TYPE_CHECKING:
    from mimamba.drivers.formats.recording import Recording
    from mimamba.models.personal.blocks import Block
    from mimamba.models.personal.fit_personal import PersonalFit
    from mimamba.service.client.credentials import Credentials

app = typer.Typer()


@app.command(rich_help_panel=RECORDINGS)
def calibrate(
    recording: Annotated[
        list[str],
        typer.Argument(
            help="Path of a recording, or a replay:// URL; several are attempts of one day, which "
            "are pooled. With --person, id of a session of a running service."
        ),
    ],
    from_markers: Annotated[
        str | None,
        typer.Option(
            help="Labels of the markers that begin a block, each with its state, separated by "
            "commas: rest/start=calm,task/start=strained. A label alone is its own state.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of a block after its marker, s. [default: up to the next marker]",
            min=5,
            max=3600,
            show_default=False,
        ),
    ] = None,
    from_table: Annotated[
        list[Path] | None,
        typer.Option(
            help="Table of tab-separated values with the columns onset and duration, in s, and "
            "trial_type, as BIDS's events.tsv; one for each recording.",
            show_default=False,
        ),
    ] = None,
    rating: Annotated[
        str | None,
        typer.Option(
            help="Column of the table with the person's ratings, 0 to 100. [default: none]",
            show_default=False,
        ),
    ] = None,
    states: Annotated[
        str | None,
        typer.Option(
            help="The two states to use, separated by a comma. [default: those of the blocks]",
            show_default=False,
        ),
    ] = None,
    montage: Montage = "muse",
    baseline: Annotated[
        float,
        typer.Option(
            help="Length of good signal at the start that is the person's rest, by which the rest "
            "of the recording is aligned, s; 0 for none.",
            min=0,
            max=600,
        ),
    ] = 0.0,
    features: Annotated[
        Literal["below-20", "below-40", "above-20"],
        typer.Option(help="Frequencies that are used, Hz; those above 20 are largely muscle."),
    ] = "below-20",
    test_model: Annotated[
        bool,
        typer.Option(
            "--test-model/--no-test-model",
            help="First test a shipped model that claims to tell the two states apart.",
        ),
    ] = True,
    seed: Seed = 0,
    head: Annotated[
        Path | None,
        typer.Option(help="File for the head. [default: none is written]", show_default=False),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Make the head in --head again from its recordings, and compare the bytes.",
        ),
    ] = False,
    person: Annotated[
        str | None,
        typer.Option(
            help="Calibrate this person, a pseudonym, in a session of a running service.",
            show_default=False,
        ),
    ] = None,
    contrast: Annotated[
        Literal["calm-strained", "pleasant-unpleasant", "own"] | None,
        typer.Option(
            help="With --person: the states to tell apart; 'own' takes those of --states.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="With --person: TOML file with contrast, pairs, seconds, rest, cue, pause, and "
            "for 'own' kinds and dimension.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            help="With --person: pairs of blocks. [default: 6]", min=4, max=12, show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--anew", help="With --person: go on with an unfinished one of today."
        ),
    ] = True,
    json: Json = False,
    url: Url = SERVICE_URL,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Calibrate a person's own output, and say whether it holds on blocks that it has not seen.

    The head is a small file. Only a reliable one is of use: the verdict says so.
    """
    with one_line_errors():
        if person is not None:
            wanted = _wanted(contrast, plan, _split(states), pairs, seconds)
            _sit(
                recording,
                {**wanted, "person": person, "resume": resume},
                url,
                credentials(token_file, cafile),
                json,
            )
            return
        if verify:
            _verify(recording, head, json)
            return
        source = _Source(from_markers, seconds, from_table or [], rating, _split(states))
        from mimamba.drivers.open import open_recording
        from mimamba.models.personal.fit_personal import fit_personal
        from mimamba.models.personal.head_file import save_head
        from mimamba.models.signal.montage import parse_montage

        _one_thread()
        recordings = [open_recording(each) for each in recording]
        fit = fit_personal(
            recordings,
            source.blocks(recordings),
            kinds=source.states,
            montage=parse_montage(montage),
            baseline=_check_baseline(baseline),
            features=features,
            seed=seed,
            test_model=test_model,
        )
        _print(fit, json)
        if head is not None:
            save_head(head, fit)


def _wanted(
    contrast: str | None,
    plan: Path | None,
    states: tuple[str, ...],
    pairs: int | None,
    seconds: float | None,
) -> dict[str, object]:
    """Return the body of the request that begins a calibration; raises PlanError."""
    import msgspec

    from mimamba.service.calibration.plan import PlanError, read_plan

    if (contrast is None) == (plan is None):
        raise PlanError(
            "either --contrast or --plan",
            "neither" if plan is None else "both",
            "give one, which says what to tell apart",
        )
    body: dict[str, object] = {"contrast": contrast}
    if plan is not None:
        read = read_plan(plan)
        body = dict(msgspec.to_builtins(read))
        if read.contrast != "own":
            body = {k: v for k, v in body.items() if k not in ("kinds", "dimension")}
    given = {"kinds": list(states) or None, "pairs": pairs, "seconds": seconds}
    return body | {name: value for name, value in given.items() if value is not None}


def _sit(
    sessions: list[str],
    wanted: dict[str, object],
    url: str,
    shown: Credentials,
    json: bool,
) -> None:
    """Calibrate in a live session, and print the verdict."""
    from mimamba.service.calibration.plan import PlanError
    from mimamba.service.cli.personal.calibrate_live import LiveSitting
    from mimamba.service.server.console import print_json

    if len(sessions) != 1:
        raise PlanError("the id of one session", ", ".join(sessions), "name one")
    done = LiveSitting(url, sessions[0], shown).run(wanted)
    if json:
        print_json(done)
    elif done["verdict"] is not None:
        sys.stdout.write(f"{done['verdict']['sentence']}\n")
    elif done["reason"] is not None:
        sys.stdout.write(f"{done['reason']}\n")


@dataclass(frozen=True)
class _Source:
    """Origin of the blocks, as the command line names it."""

    markers: str | None
    seconds: float | None
    tables: list[Path]
    rating: str | None
    states: tuple[str, ...]

    def blocks(self, recordings: list[Recording]) -> list[tuple[Block, ...]]:
        """Return the blocks of each recording; raises CalibrationError."""
        from mimamba.models.personal.blocks import (
            CalibrationError,
            blocks_from_markers,
            blocks_from_table,
        )

        if (self.markers is None) == (not self.tables):
            raise CalibrationError(
                "either --from-markers or --from-table",
                "both" if self.tables else "neither",
                "give one, which says where the blocks are",
            )
        if self.markers is not None:
            if self.rating is not None:
                raise CalibrationError(
                    "--rating with a table", "markers", "write a table for --from-table"
                )
            kinds = _kinds(self.markers)
            return [blocks_from_markers(each, kinds, self.seconds) for each in recordings]
        if self.seconds is not None:
            raise CalibrationError(
                "--seconds with markers", "a table, which has durations", "leave --seconds out"
            )
        if len(self.tables) != len(recordings):
            raise CalibrationError(
                f"a table for each of {len(recordings)} recordings",
                f"{len(self.tables)}",
                "repeat --from-table in the order of the recordings",
            )
        return [
            blocks_from_table(table, each, self.rating, self.states)
            for table, each in zip(self.tables, recordings, strict=True)
        ]


def _kinds(text: str) -> dict[str, str]:
    """Parse ``LABEL=STATE,LABEL=STATE``; a label alone is its own state."""
    kinds = {}
    for part in _split(text):
        label, _, state = part.rpartition("=")
        kinds[label.strip() or state.strip()] = state.strip()
    return kinds


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _check_baseline(seconds: float) -> float:
    """Return the length of a baseline; raises SignalError if it is too short."""
    from mimamba.models.signal.baseline import MIN_BASELINE
    from mimamba.models.signal.preprocessing import SignalError

    if 0 < seconds < MIN_BASELINE:
        raise SignalError(
            f"a baseline of 0 or at least {MIN_BASELINE:g} s",
            f"{seconds:g} s",
            "correct --baseline",
        )
    return seconds


def _verify(recordings: list[str], head: Path | None, json: bool) -> None:
    """Make a head again; raises HeadError if it differs."""
    from mimamba.drivers.open import open_recording
    from mimamba.models.personal.head_file import HeadError, verify_head

    if head is None:
        raise HeadError("a head to verify", "none", "name its file with --head")
    _one_thread()
    fit = verify_head(head, [open_recording(each) for each in recordings])
    if not json:
        sys.stdout.write(f"{head}: the same bytes again.\n")
    _print(fit, json)


def _print(fit: PersonalFit, json: bool) -> None:
    from mimamba.service.server.console import print_json

    verdict = fit.verdict
    if json:
        print_json({"sentence": verdict.sentence, "verdict": verdict, "settings": fit.settings})
        return
    write = sys.stdout.write
    write(f"{verdict.sentence}\n\n")
    one, other = verdict.kinds
    write(f"{verdict.n_blocks[0]} blocks of {one}, {verdict.n_blocks[1]} of {other}\n")
    rows = {
        "your own output": verdict.result,
        "20 to 40 Hz alone": verdict.muscle,
        "1 to 40 Hz": verdict.both,
        "first against second half": verdict.time,
        "the shipped model": verdict.model,
    }
    for name, result in rows.items():
        if result is not None:
            write(f"  {name:26} {result}\n")
    if verdict.doubtful:
        write(
            f"{verdict.doubtful} ratings contradict their block; these can only lower a verdict\n"
        )
    if verdict.tests > 1:
        write(f"each p is multiplied by {verdict.tests}, the number of tests\n")
    if verdict.reason is not None and verdict.result is not None:
        write(f"{verdict.reason}\n")

"""Fitting: no person in two parts, and the same job gives the same bytes, even if resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimamba.drivers.errors import Mismatch
from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.candidates.candidate_set import CandidateSet
from mimamba.models.evaluation.candidates.recipe_candidates import R_VALUES, choose_gate
from mimamba.models.evaluation.evaluator import evaluate_dataset
from mimamba.models.evaluation.results import EvaluationReport
from mimamba.models.training.recipes import Recipe
from mimamba.models.training.scoring import score_network
from mimamba.models.training.stages import Stage
from mimamba.models.training.windowing import cut_hops
from mimamba.models.training_jobs.fit import (
    FitProgress,
    FittingError,
    OnFitProgress,
    fit,
    split_validation,
)
from mimamba.models.training_jobs.job import CheckpointDescription, TrainingJob
from mimamba.models.training_jobs.resume import FILE, ResumeError
from tests.models.labelled import MUSE, TINY, labelled

ABOUT = CheckpointDescription(
    "mine", "nobody's", "mimamba train waves --root DIR", "mimamba evaluate waves"
)
FULL = replace(
    TINY,
    training=replace(TINY.training, augmentation=replace(TINY.training.augmentation, mixing=0.5)),
)


class Interrupted(Exception):
    """Interruption of a training, as by Ctrl-C."""


def interrupt(phase: str, epoch: int) -> OnFitProgress:
    def on_epoch(now: FitProgress) -> None:
        if (now.phase, now.epoch) == (phase, epoch):
            raise Interrupted

    return on_epoch


@pytest.fixture(scope="module")
def waves() -> Dataset:
    return labelled(n_trials=2)


@pytest.fixture(scope="module")
def report(waves: Dataset) -> EvaluationReport:
    return evaluate_dataset(
        waves,
        CandidateSet((TINY,), ablations=False, comparisons=False),
        protocols=["subject"],
        n_folds=2,
    )


@pytest.fixture(scope="module")
def whole(waves: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = tmp_path_factory.mktemp("whole") / "mine.safetensors"
    return fit(path, waves, TrainingJob.of(waves, FULL, 0.0), ABOUT)


def test_both_phases_are_reported_and_it_learns(tmp_path: Path) -> None:
    waves = labelled()
    told: list[FitProgress] = []
    training = replace(TINY.training, epochs=6, batch=2, learning_rate=3e-2)
    recipe = replace(TINY, training=training)
    path = tmp_path / "mine.safetensors"
    made = fit(path, waves, TrainingJob.of(waves, recipe, 0.0), ABOUT, on_epoch=told.append)
    choosing, learning = (
        [epoch for epoch in told if epoch.phase == phase] for phase in ("selection", "final")
    )
    assert [epoch.epoch for epoch in choosing] == list(range(1, len(choosing) + 1))
    assert {epoch.epochs for epoch in learning} == {len(learning)}
    assert len(learning) <= len(choosing) <= 6
    assert all(epoch.balanced_accuracy is not None for epoch in choosing)
    assert not any(epoch.balanced_accuracy for epoch in learning)
    new = cut_hops(labelled(seed=9), made.signal)
    assert score_network(made.network, new, [2], made.r).balanced_accuracy > 0.9
    assert sorted(found.name for found in tmp_path.iterdir()) == ["mine.md", "mine.safetensors"]
    assert load_checkpoint(path).sha256 == made.sha256


def test_the_header_and_the_card_say_all(whole: Checkpoint, waves: Dataset, tmp_path: Path) -> None:
    assert (whole.name, whole.montage, whole.outputs) == ("mine", MUSE, waves.outputs)
    assert whole.trained_on == "waves by nobody (8 trials of 4 people)"
    assert (whole.scores, whole.licence, whole.baseline) == ({}, "nobody's", 0.0)
    path = tmp_path / "rested.safetensors"
    rested = fit(path, waves, TrainingJob.of(waves, TINY, 4.0), ABOUT)
    assert rested.baseline == 4.0
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    for said in (
        rested.sha256,
        "TP9 by T7 (47 mm away)",
        "pitch (low, high)",
        "not a medical device",
        "It was not evaluated: its accuracy is unknown.",
        ABOUT.command,
        ABOUT.evaluation,
        "Baseline: 4 s of each person's rest",
        "Recipe: tiny, seed 0",
        f"pitch {rested.temperature['pitch']:.3f}",
        "nobody's",
    ):
        assert said in card


def test_the_same_seed_gives_the_same_bytes(
    whole: Checkpoint, waves: Dataset, tmp_path: Path
) -> None:
    job = TrainingJob.of(waves, FULL, 0.0)
    torch.manual_seed(5)  # what went before does not matter
    again = fit(tmp_path / "again.safetensors", waves, job, ABOUT)
    assert again.sha256 == whole.sha256
    seeded = replace(FULL, training=replace(FULL.training, seed=1))
    other = fit(tmp_path / "other.safetensors", waves, TrainingJob.of(waves, seeded, 0.0), ABOUT)
    assert other.sha256 != whole.sha256


@pytest.mark.parametrize(("phase", "epoch"), [("selection", 1), ("selection", 2), ("final", 1)])
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    whole: Checkpoint, waves: Dataset, tmp_path: Path, phase: str, epoch: int
) -> None:
    path, job = tmp_path / "mine.safetensors", TrainingJob.of(waves, FULL, 0.0)
    with pytest.raises(Interrupted):
        fit(path, waves, job, ABOUT, on_epoch=interrupt(phase, epoch))
    assert [found.name for found in tmp_path.iterdir()] == ["mine.training"]
    told: list[FitProgress] = []
    made = fit(path, waves, job, ABOUT, resume=True, on_epoch=told.append)
    assert (told[0].phase, told[0].epoch) != (phase, epoch)
    assert (phase, epoch) not in [(each.phase, each.epoch) for each in told]
    assert made.sha256 == whole.sha256
    assert not (tmp_path / "mine.training").exists()


def test_a_training_in_stages_goes_on_to_the_same_bytes(waves: Dataset, tmp_path: Path) -> None:
    memory = replace(
        TINY.architecture, mixer="evidence", d_state=8, d_conv=1, time_constants=(1.0, 4.0)
    )
    stages = tuple(Stage("memory", 2, 4, (8, 8), 1e-2, averaging) for averaging in (0.0, 0.5))
    staged = replace(TINY, architecture=memory, training=replace(TINY.training, stages=stages))
    job = TrainingJob.of(waves, staged, 0.0)
    whole = fit(tmp_path / "whole.safetensors", waves, job, ABOUT)
    for phase, epoch in (("selection", 5), ("final", 2)):
        path = tmp_path / f"{phase}{epoch}.safetensors"
        with pytest.raises(Interrupted):
            fit(path, waves, job, ABOUT, on_epoch=interrupt(phase, epoch))
        assert fit(path, waves, job, ABOUT, resume=True).sha256 == whole.sha256


@pytest.fixture
def begun(waves: Dataset, tmp_path: Path) -> Path:
    """Path of a checkpoint with an unfinished training beside it."""
    path = tmp_path / "mine.safetensors"
    with pytest.raises(Interrupted):
        fit(
            path, waves, TrainingJob.of(waves, TINY, 0.0), ABOUT, on_epoch=interrupt("selection", 1)
        )
    return path


def test_an_unfinished_training_is_never_lost_silently(begun: Path, waves: Dataset) -> None:
    kept = (begun.with_suffix(".training") / FILE).read_bytes()
    with pytest.raises(ResumeError, match=r"was started with, but found --choose-r\. Give"):
        fit(begun, waves, TrainingJob.of(waves, TINY, 0.0, chooses_r=True), ABOUT, resume=True)
    with pytest.raises(ResumeError, match=r"found one in .*mine\.training\. Resume it"):
        fit(begun, waves, TrainingJob.of(waves, TINY, 0.0), ABOUT)
    assert (begun.with_suffix(".training") / FILE).read_bytes() == kept


def test_nothing_to_resume(waves: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="an unfinished training to resume, but found none"):
        fit(tmp_path / "x.safetensors", waves, TrainingJob.of(waves, TINY, 0.0), ABOUT, resume=True)


def _seeded(recipe: Recipe) -> Recipe:
    return replace(recipe, training=replace(recipe.training, seed=7))


def _same(recipe: Recipe) -> Recipe:
    return recipe


@pytest.mark.parametrize(
    ("change", "data", "baseline", "word"),
    [
        (_seeded, 0, 0.0, "recipe.training.seed 7, not 0"),
        (_same, 1, 0.0, "setting.sha256"),
        (_same, 0, 2.0, "setting.baseline 2.0, not 0.0"),
    ],
)
def test_another_job_does_not_go_on(
    begun: Path, change: Callable[[Recipe], Recipe], data: int, baseline: float, word: str
) -> None:
    other = labelled(n_trials=2, seed=data)
    job = TrainingJob.of(other, change(TINY), baseline)
    with pytest.raises(ResumeError, match=word):
        fit(begun, other, job, ABOUT, resume=True)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\x00" * 4096])
def test_a_damaged_file_is_reported(begun: Path, waves: Dataset, content: bytes) -> None:
    (begun.with_suffix(".training") / FILE).write_bytes(content)
    with pytest.raises(ResumeError, match=r"a damaged file .* start the training again"):
        fit(begun, waves, TrainingJob.of(waves, TINY, 0.0), ABOUT, resume=True)


@pytest.mark.parametrize(("n_people", "n_trials"), [(8, 2), (3, 6)])
def test_people_are_held_out_or_trials_where_there_are_few(n_people: int, n_trials: int) -> None:
    sequences = cut_hops(labelled(n_people, n_trials, 4), TINY.signal)
    learn, choose = split_validation(sequences, 0)
    assert sorted(map(id, learn + choose)) == sorted(map(id, sequences))
    shared = {s.person for s in learn} & {s.person for s in choose}
    assert not shared if n_people == 8 else shared
    for part in (learn, choose):
        assert {int(s.labels[0, 0]) for s in part} == {0, 1}


def test_too_few_to_choose_by() -> None:
    with pytest.raises(FittingError, match="2 trials with a good signal of 1 people"):
        split_validation(cut_hops(labelled(1, 2, 4), TINY.signal), 0)


def test_a_loss_that_is_no_number_is_reported(waves: Dataset, tmp_path: Path) -> None:
    wild = replace(TINY, training=replace(TINY.training, learning_rate=1e30, epochs=2))
    with pytest.raises(FittingError, match="a finite training loss, but found one that diverged"):
        fit(tmp_path / "x.safetensors", waves, TrainingJob.of(waves, wild, 0.0), ABOUT)


def test_scores_come_along_with_their_table(
    waves: Dataset, report: EvaluationReport, tmp_path: Path
) -> None:
    path = tmp_path / "scored.safetensors"
    seeded = _seeded(TINY)  # the seed of an evaluation need not be the training's
    about = replace(ABOUT, report=report)
    made = fit(path, waves, TrainingJob.of(waves, seeded, 0.0), about)
    (evaluation,) = report.evaluations
    carried = next(r for r in evaluation.results if "carried" in r.contender)
    accuracy = carried.mean.balanced_accuracy
    assert made.scores["subject/pitch/balanced_accuracy"] == accuracy
    assert {key.partition("/")[0] for key in made.scores} == {
        "subject",
        "subject (smoothed)",
        "subject (r chosen)",
        "subject (r chosen, smoothed)",
        "subject (r = 0)",
        "subject (r = 0, smoothed)",
        "subject (majority label)",
    }
    live = next(r for r in evaluation.live if r.contender == carried.contender)
    plain = live.curve[0].scores  # a session smooths nothing
    for way, scores in (("", plain), (" (smoothed)", live.mean)):
        start = f"subject{way}/pitch/live"
        assert made.scores[f"{start}_balanced_accuracy"] == scores.balanced_accuracy
        assert made.scores[f"{start}_steady_accuracy"] == scores.steady_accuracy
        assert made.scores[f"{start}_latency"] == scores.latency
    assert made.notice is not None
    accuracy = plain.balanced_accuracy
    assert made.notice.startswith("Live balanced accuracy on people whom it had not seen: ")
    assert f"{accuracy:.2f} of pitch (chance 0.50)" in made.notice
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert (
        f"Live, pitch, nothing smoothed: {accuracy:.3f}, steady {plain.steady_accuracy:.3f}" in card
    )
    assert "| subject | pitch | majority label | 0.500 | 0.500 ± 0.000 |" in card
    assert "not evaluated" not in card


def test_r_is_chosen_as_the_evaluation_chooses_it(
    waves: Dataset, report: EvaluationReport, tmp_path: Path
) -> None:
    accuracies = {0.8: 0.5, 0.9: 0.7, 0.95: 0.7, 0.98: 0.6, 1.0: 0.2}
    assert choose_gate(1.0, accuracies.__getitem__) == 0.9
    path = tmp_path / "chosen.safetensors"
    job = TrainingJob.of(waves, TINY, 0.0, chooses_r=True)
    made = fit(path, waves, job, replace(ABOUT, report=report))
    assert "r: chosen on people held out" in path.with_suffix(".md").read_text(encoding="utf-8")
    (evaluation,) = report.evaluations
    chosen = next(each for each in evaluation.results if "r chosen" in each.contender)
    assert made.scores["subject/pitch/balanced_accuracy"] == chosen.mean.balanced_accuracy
    assert f"subject (r = {TINY.r:.3g})/pitch/balanced_accuracy" in made.scores


def test_r_is_chosen_once_and_the_choice_outlives_an_interruption(
    waves: Dataset, tmp_path: Path
) -> None:
    # Of equals the smallest is chosen, so this r is not, unless it alone is the best.
    recipe, path = replace(TINY, r=1.0), tmp_path / "mine.safetensors"
    plain = TrainingJob.of(waves, recipe, 0.0)
    job = replace(plain, chooses_r=True)
    with pytest.raises(Interrupted):
        fit(path, waves, job, ABOUT, on_epoch=interrupt("final", 1))
    with pytest.raises(ResumeError, match=r"was started with, but found no --choose-r\. Give"):
        fit(path, waves, plain, ABOUT, resume=True)
    made = fit(path, waves, job, ABOUT, resume=True)
    assert made.r in R_VALUES
    assert load_checkpoint(path).r == made.r


def test_r_is_not_chosen_where_no_label_changes(tmp_path: Path) -> None:
    waves = labelled(n_trials=2, seconds=4)
    one_each = tuple(each for each in waves.trials if each.labels[0] == int(each.person[1:]) % 2)
    job = TrainingJob.of(replace(waves, trials=one_each), TINY, 0.0, chooses_r=True)
    with pytest.raises(FittingError, match=r"but found none\. Leave out --choose-r"):
        fit(tmp_path / "x.safetensors", replace(waves, trials=one_each), job, ABOUT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("recipe", "baseline", "data", "word"),
    [
        (replace(TINY, r=0.5), 0.0, 0, "the recipe tiny with the same settings"),
        (replace(TINY, name="large"), 0.0, 0, "the recipe large in the evaluation, but found tiny"),
        (TINY, 2.0, 0, "a baseline of 2 s in the evaluation, but found 0 s"),
        (TINY, 0.0, 1, "samples and labels"),
    ],
)
def test_scores_of_something_else_are_refused(
    report: EvaluationReport, tmp_path: Path, recipe: Recipe, baseline: float, data: int, word: str
) -> None:
    other = labelled(n_trials=2, seed=data)
    about = replace(ABOUT, report=report)
    with pytest.raises(Mismatch, match=word):
        fit(tmp_path / "x.safetensors", other, TrainingJob.of(other, recipe, baseline), about)
    assert not list(tmp_path.iterdir())


def test_scores_of_permuted_labels_are_refused(
    waves: Dataset, report: EvaluationReport, tmp_path: Path
) -> None:
    about = replace(ABOUT, report=replace(report, permuted=True))
    with pytest.raises(Mismatch, match="found permuted labels"):
        fit(tmp_path / "x.safetensors", waves, TrainingJob.of(waves, TINY, 0.0), about)

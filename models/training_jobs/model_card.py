"""Header and model card of a checkpoint trained on a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mimamba.models.checkpoints.card import NOT_MEDICAL, list_facts
from mimamba.models.checkpoints.checkpoint import Checkpoint, CheckpointHeader
from mimamba.models.datasets.dataset import Dataset
from mimamba.models.evaluation.checkpoint_scores import scores_of
from mimamba.models.evaluation.report import to_markdown
from mimamba.models.training.data_fingerprint import DataFingerprint
from mimamba.models.training_jobs.job import CheckpointDescription, TrainingJob
from mimamba.models.training_jobs.resume import SelectedEpochs

NOT_EVALUATED = "It was not evaluated: its accuracy is unknown."
NOTICED = {
    "live_balanced_accuracy": "Live balanced accuracy",
    "balanced_accuracy": "Balanced accuracy",
}
"""Measures that a notice may name, the best first, in words."""


def make_header(
    dataset: Dataset, job: TrainingJob, about: CheckpointDescription, selected: SelectedEpochs
) -> CheckpointHeader:
    """Make the header of a trained checkpoint."""
    setting, recipe = job.setting, job.recipe
    scores = scores_of(about.report, recipe, job.chooses_r) if about.report else {}
    return CheckpointHeader(
        name=about.name,
        architecture=recipe.architecture,
        montage=setting.electrodes,
        signal=recipe.signal,
        r=recipe.r if selected.r is None else selected.r,
        outputs=setting.outputs,
        temperature=selected.temperature,
        trained_on=(
            f"{dataset.source} ({len(dataset.trials)} trials of {len(dataset.people)} people)"
        ),
        scores=scores,
        licence=about.licence,
        notice=_notice(setting, scores),
        baseline=setting.baseline,
        set_thresholds=selected.set_thresholds,
    )


def _notice(setting: DataFingerprint, scores: Mapping[str, float]) -> str:
    """Return the notice to show with every prediction: the accuracy on unseen people.

    It is that of the live reading, as a session is live; without one, that of blocks. The notice is
    part of the checkpoint's bytes, so its wording stays the same.
    """
    if not scores:
        return NOT_EVALUATED
    for measure, words in NOTICED.items():
        found = {name: scores.get(f"subject/{name}/{measure}") for name in setting.outputs}
        said = [
            f"{value:.2f} of {name} (chance {1 / len(setting.outputs[name]):.2f})"
            for name, value in found.items()
            if value is not None
        ]
        if said:
            return f"{words} on people whom it had not seen: {', '.join(said)}."
    return "It was never tested on people whom it had not seen."


def model_card(
    checkpoint: Checkpoint, job: TrainingJob, about: CheckpointDescription, selected: SelectedEpochs
) -> str:
    """Return the model card as Markdown."""
    outputs = " and ".join(f"{k} ({', '.join(v)})" for k, v in checkpoint.outputs.items())
    setting, training = job.setting, job.recipe.training
    met = ", ".join(
        f"{e.electrode} by {e.channel}" + (f" ({e.distance_mm:.0f} mm away)" * (e.distance_mm > 0))
        for e in setting.montage
    )
    temperature = ", ".join(f"{name} {t:.3f}" for name, t in checkpoint.temperature.items())
    thresholds = ", ".join(f"{name} {q:.3f}" for name, q in checkpoint.set_thresholds.items())
    rest = f"{setting.baseline:g} s of each person's rest" if setting.baseline else "none"
    listed = list_facts(
        checkpoint,
        f"Electrodes: {met}",
        f"Baseline: {rest}",
        f"Recipe: {job.recipe.name}, seed {training.seed}, epochs {selected.epochs} of at most "
        f"{training.all_epochs}, on {job.device}",
        *(["r: chosen on people held out, by the live reading"] if job.chooses_r else []),
        f"Temperature: {temperature}",
        f"Threshold of prediction sets: {thresholds}",
    )
    scores = to_markdown(about.report) if about.report else _unevaluated(about)
    return f"""# {checkpoint.name}

MS-iMamba for {", ".join(checkpoint.montage)}: {outputs}.

**{checkpoint.notice}**
{describe_live(checkpoint.scores, tuple(checkpoint.outputs))}
{NOT_MEDICAL}

{listed}

## Scores

{scores}

## Made with

    {about.command}
"""


def describe_live(scores: Mapping[str, float], outputs: Sequence[str]) -> str:
    """Return lines with the live reading as a session has it, without smoothing, if it is known."""
    lines = []
    for output in outputs:
        names = ("balanced_accuracy", "steady_accuracy", "latency")
        found = [scores.get(f"subject/{output}/live_{name}") for name in names]
        accuracy, steady, latency = found
        if accuracy is not None and steady is not None and latency is not None:
            lines.append(
                f"Live, {output}, nothing smoothed: {accuracy:.3f}, steady {steady:.3f}, "
                f"a switch followed after {latency:.1f} s."
            )
    return "\n".join(["", *lines, ""]) if lines else ""


def _unevaluated(about: CheckpointDescription) -> str:
    return f"""It was not evaluated. Evaluate it with this command, then train with `--scores`:

    {about.evaluation}"""

"""Training and evaluating as a person does it: from a folder of recordings to a model by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import mimamba.models.datasets.cache
import mimamba.models.training.recipes
import mimamba.models.training_jobs.fit
from mimamba.models.checkpoints.checkpoint import PACKAGE_FOLDER, load_checkpoint
from mimamba.models.evaluation.report import load_report
from mimamba.service.cli.main import app
from mimamba.service.storage.own_checkpoints import models_folder
from tests.drivers.formats.edf.edffile import File, Signal
from tests.models.datasets.layouts import MUSE
from tests.models.labelled import SFREQ, TINY
from tests.service.cli.test_main import assert_one_line
from tests.service.live import live
from tests.service.muse_recordings import write_muse


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people, calm and tense in turns; the first recording of each is calm, and their rest."""
    root = tmp_path_factory.mktemp("moods")
    rng = np.random.default_rng(0)
    for person in range(1, 5):
        for run, task in enumerate(("calm", "tense", "calm", "tense"), 1):
            folder = root / f"sub-{person:02d}" / "eeg"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"sub-{person:02d}_task-{task}_run-{run}_eeg.edf"
            File([_wave(name, 4 if task == "calm" else 12, rng) for name in MUSE]).write(path)
    return root


def _wave(name: str, f: float, rng: np.random.Generator) -> Signal:
    times = np.arange(round(6 * SFREQ)) / SFREQ
    values = 40 * np.sin(2 * np.pi * f * times) + 10 * rng.standard_normal(len(times))
    return Signal(name, values.round().astype(int).tolist(), round(SFREQ))


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models and recordings go; the recipe tiny can be named."""
    folder = tmp_path / "data"
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(folder))
    monkeypatch.setattr(
        mimamba.models.datasets.cache, "user_cache_path", lambda _: tmp_path / "cache"
    )
    monkeypatch.setitem(mimamba.models.training.recipes.RECIPES, "tiny", TINY)
    return folder


def bids(root: Path, *more: str | Path) -> list[str | Path]:
    return ["bids", "--root", root, "--recipe", "tiny", "--outputs", "mood", *more]


def objects(ended: Result) -> list[dict[str, object]]:
    assert ended.exit_code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_evaluated_trained_listed_and_used_by_name(
    root: Path, data_dir: Path, tmp_path: Path
) -> None:
    options = ["--rest", "calm", "--baseline", "2", "--epochs", "1"]
    out = tmp_path / "evaluation"
    plain = ["--protocol", "subject", "--folds", "2", "--no-rivals", "--no-ablations"]
    judged = run("evaluate", *bids(root, *options, *plain, "--out", out))
    assert judged.exit_code == 0, judged.stderr
    assert "majority label" in judged.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        *(f"evaluation.{end}" for end in ("json", "png", "txt")),
        "live.png",
    ]
    conditions = load_report(out / "evaluation.json").conditions
    assert conditions is not None
    assert (conditions.setting.baseline, conditions.n_folds) == (2.0, 2)
    assert conditions.setting.outputs == {"mood": ("calm", "tense")}
    assert [recipe.name for recipe in conditions.recipes] == ["tiny"]

    scores: list[str | Path] = [
        "--scores",
        out / "evaluation.json",
        "--seed",
        "3",
        "--licence",
        "CC0",
    ]
    made = run("train", *bids(root, *options, *scores, "--name", "mine"))
    assert made.exit_code == 0, made.stderr
    path = data_dir / "models" / "mine.safetensors"
    assert "16 trials of 4 people; mood: calm, tense" in made.stderr
    assert f"{path}: SHA-256" in made.stdout
    assert path.parent.stat().st_mode & 0o77 == data_dir.stat().st_mode & 0o77 == 0
    checkpoint = load_checkpoint("mine", models_folder(data_dir))
    assert (checkpoint.licence, checkpoint.baseline) == ("CC0", 2.0)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert (
        "    mimamba train bids --root DIR --outputs mood --montage muse --baseline 2 --rest calm "
        "--name mine --recipe tiny --seed 3 --epochs 1 --licence CC0 --scores evaluation.json\n"
    ) in card
    assert str(root) not in card

    demo, workload, mine = objects(run("models", "--json"))
    assert (demo["name"], demo["packaged"], mine["name"]) == ("demo", True, "mine")
    assert (mine["outputs"], mine["montage"]) == ({"mood": ["calm", "tense"]}, list(MUSE))
    assert isinstance(mine["scores"], dict)
    assert next(iter(mine["scores"])) == "subject/mood/balanced_accuracy"
    assert mine["path"] == str(path)
    assert (demo["emotion"], workload["emotion"], mine["emotion"]) == (True, False, True)
    table = run("models").stdout
    assert "subject/mood: " in table
    assert "CC0" in table

    write_muse(tmp_path / "muse.csv", seconds=4)
    said = objects(run("score", tmp_path / "muse.csv", "--model", "mine"))
    assert isinstance(said[-1]["outputs"], dict)
    assert set(said[-1]["outputs"]) == {"mood"}
    assert "baseline 2 of 2 s" in [each["reason"] for each in said]  # as it was trained
    with live("simulate://", data_dir=data_dir, model="mine") as service:
        service.opened("simulate-1")
        assert service.sessions()["simulate-1"]["outputs"] == {"mood": ["calm", "tense"]}
        shown = service.http.get("/v1/models").json()
        assert [each["name"] for each in shown] == ["demo", "workload", "mine"]
        assert shown[2]["sha256"] == checkpoint.sha256
        asked = {"source": "simulate://", "id": "other", "model": "mine"}
        assert service.http.post("/v1/sessions", json=asked).status_code == 201


def test_a_split_of_ones_own_is_evaluated_in_place_of_the_protocols(
    root: Path, data_dir: Path, tmp_path: Path
) -> None:
    del data_dir
    split = tmp_path / "mine.json"
    lists = {"train": ["sub-01", "sub-02"], "validation": ["sub-03"], "test": ["sub-04", "sub-09"]}
    split.write_text(json.dumps(lists))
    out = tmp_path / "evaluation"
    quick = ["--no-rivals", "--no-ablations", "--epochs", "1", "--windows", "1", "--hop", "1"]
    ended = run("evaluate", *bids(root, *quick, "--split", split, "--montage", "all", "--out", out))
    assert ended.exit_code == 0, ended.stderr
    (result,) = load_report(out / "evaluation.json").evaluations
    assert result.split is not None
    assert (result.n_people, result.n_folds, result.split.missing) == (1, 1, ("sub-09",))
    said = " ".join(ended.stdout.split())
    assert "NOT COMPARABLE" in said
    assert "sub-09" in said
    assert "class distribution" in said
    assert "live reading" in said


def test_an_interrupted_training_goes_on(
    root: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("train", *bids(root, "--out", tmp_path / "mine.safetensors"))
    assert whole.exit_code == 0, whole.stderr
    with monkeypatch.context() as patch:
        patch.setattr(mimamba.models.training_jobs.fit, "fit_temperatures", _interrupt)
        cut_off = run("train", *bids(root, "--name", "mine"))
    assert cut_off.exit_code == 130
    assert "--resume" in cut_off.stderr
    again = run("train", *bids(root, "--name", "mine"))
    assert again.exit_code == 2
    assert_one_line(again.stdout, again.stderr)
    assert run("train", *bids(root, "--name", "mine", "--resume")).exit_code == 0
    assert (
        load_checkpoint("mine", data_dir / "models").sha256
        == load_checkpoint(tmp_path / "mine.safetensors").sha256
    )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("train bids --root {root}", "--name"),
        ("train bids --root {root} --name demo", "comes with the package"),
        ("train bids --root {root} --name none", "means no model"),
        ("train bids --root {root} --name ../mine", "letters, digits"),
        ("train bids --root {root} --out mine.pt", ".safetensors"),
        ("train bids --root {root} --out {data}/taken.safetensors", "taken.safetensors"),
        ("train bids --root {root} --name mine --recipe best", "spectral, whole, paper"),
        ("train bids --root {data}/none --name mine", "Correct --root"),
        ("train bids --root {root} --name mine --montage Cz,Oz,Fz,Pz", "Cz"),
        ("train bids --root {root} --name mine --people sub-09", "sub-09"),
        ("train bids --root {root} --name mine --label mood", "participants:COLUMN"),
        ("train bids --root {root} --name mine --tasks calm", "two labels"),
        ("train bids --root {root} --name mine --seconds 3", "Leave out --seconds"),
        ("train bids --root {root} --name mine --baseline 5", "Leave out --baseline"),
        ("train bids --root {root} --name mine --rest calm --baseline 50", "shorter --baseline"),
        ("train bids --root {root} --name mine --baseline 900", "0 to 600 s"),
        ("train bids --root {root} --name mine --baseline-from task-none", "the task none"),
        ("train bids --root {root} --name mine --baseline-from calm.edf", "a path with {{person}}"),
        (
            "train bids --root {root} --name mine --baseline-from {root}/{{person}}.edf",
            "sub-01.edf",
        ),
        (
            "train bids --root {root} --name mine --baseline-from task-calm --rest calm",
            "Leave out one of the two",
        ),
        ("train bids --root {root} --name mine --scores {data}/none.json", "none.json"),
        ("train bids --root {root} --name mine --scores {data}/taken.safetensors", "evaluation"),
        ("train bids --root {root} --name mine --resume", "Leave out --resume"),
        ("train bids --root {root} --name mine --device cuda", "Leave out --device"),
        ("train deap --root {root} --name mine", "s01.dat"),
        ("train deap --root {root} --name mine --label task", "no BIDS options"),
        ("evaluate bids --root {root} --out {data} --recipe best", "spectral, whole, paper"),
        ("evaluate bids --root {data}/none --out {data}/new", "Correct --root"),
        ("evaluate bids --root {root} --out {data}/done", "--out"),
        ("evaluate bids --root {root} --out {data}/taken.safetensors", "--out"),
        ("evaluate bids --root {root} --out {data}/new --split best", "openeegbench-zyma2019"),
        ("evaluate bids --root {root} --out {data}/new --split eegain-deap", "data set deap"),
        (
            "evaluate bids --root {root} --out {data}/new --split openeegbench-zyma2019",
            "people of the split",
        ),
        (
            "evaluate bids --root {root} --out {data}/new --split libeer --protocol subject",
            "Leave out --protocol or --split",
        ),
        ("evaluate bids --root {root} --out {data}/new --threshold 3", "ratings in numbers"),
        ("evaluate bids --root {root} --out {data}/new --windows 0", "Correct --windows"),
        (
            "evaluate bids --root {root} --out {data}/new --encoder {data}",
            "config.json and model.safetensors of a braindecode model",
        ),
        (
            "evaluate bids --root {root} --out {data}/new --people sub-01 --protocol subject",
            "subject: Expected every label from at least 3 people",
        ),
    ],
)
def test_each_mistake_is_one_line_and_status_2(
    root: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    word: str,
) -> None:
    monkeypatch.chdir(data_dir.parent)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    data_dir.mkdir()
    (data_dir / "taken.safetensors").write_bytes(b"")
    (data_dir / "done").mkdir()
    (data_dir / "done" / "evaluation.json").write_bytes(b"")
    recipe = [] if "--recipe" in arguments else ["--recipe", "tiny"]
    ended = run(*arguments.format(root=root, data=data_dir).split(), *recipe)
    assert ended.exit_code == 2, ended.stderr
    assert isinstance(ended.exception, SystemExit)
    assert_one_line(ended.stdout, ended.stderr)
    assert word.replace("{{", "{").replace("}}", "}") in ended.stderr


@pytest.mark.usefixtures("data_dir")
def test_rest_may_be_named_as_a_task_or_be_in_other_files(root: Path, tmp_path: Path) -> None:
    """All three ways name the same recordings, and so give the same model."""
    files = f"{root}/{{person}}/eeg/{{person}}_task-calm_run-1_eeg.edf"
    made = {}
    for name, source in {
        "rest": ("--rest", "calm"),
        "task": ("--baseline-from", "task-calm"),
        "files": ("--baseline-from", files),
    }.items():
        out = tmp_path / f"{name}.safetensors"
        ended = run("train", *bids(root, *source, "--baseline", "2", "--epochs", "1", "--out", out))
        assert ended.exit_code == 0, ended.stderr
        made[name] = load_checkpoint(out)
        card = out.with_suffix(".md").read_text(encoding="utf-8")
        assert str(root) not in card
    assert (
        "--baseline 2 --baseline-from 'REST/{person}/eeg/{person}_task-calm_run-1_eeg.edf'" in card
    )
    assert {each.baseline for each in made.values()} == {2.0}
    first = made["rest"].network.state_dict()
    for other in ("task", "files"):
        for name, weights in made[other].network.state_dict().items():
            assert weights.equal(first[name]), name


def test_what_is_damaged_or_takes_a_name_is_listed_with_its_error(data_dir: Path) -> None:
    data_dir.mkdir()
    folder = models_folder(data_dir)
    assert [each["name"] for each in objects(run("models", "--json"))] == ["demo", "workload"]
    folder.mkdir(parents=True)
    (folder / "broken.safetensors").write_bytes(b"{}")
    demo = load_checkpoint("demo")
    for name in ("demo", "mine"):
        shutil.copy(PACKAGE_FOLDER / "demo.safetensors", folder / f"{name}.safetensors")
    listed = objects(run("models", "--json"))
    assert [each["name"] for each in listed] == ["demo", "workload", "broken", "demo", "mine"]
    assert [each["packaged"] for each in listed] == [True, True, *[False] * 3]
    errors = [each["error"] for each in listed[1:]]
    assert (errors[0], errors[3]) == (None, None)
    assert "a safetensors file" in str(errors[1])
    assert "Rename the file" in str(errors[2])
    assert "cannot be used" in run("models").stdout
    (folder / "demo.safetensors").write_bytes(b"{}")  # never loaded in place of the package's
    assert load_checkpoint("demo", folder).sha256 == demo.sha256

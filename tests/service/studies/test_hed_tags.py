"""HED annotations: their form, and the schema's word on those that are shipped."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import typer

from mimamba.service.cli.personal.study import check
from mimamba.service.settings.marker_meanings import (
    BadMarkers,
    MarkerMeaning,
    check_tags,
    parse_meanings,
)
from mimamba.service.studies.hed_tags import hed_problem, schema_problems
from mimamba.service.studies.protocol_file import read_study
from mimamba.service.studies.study_folder import SHIPPED

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red,,Blue", "a comma without a tag before it"),
        (",Red", "a comma without a tag before it"),
        ("Red,", "nothing after the last comma"),
        ("(Red", "a bracket that is not closed"),
        ("Red)", "a bracket that closes nothing"),
        ("()", "no tag before a bracket"),
        ("Red (Blue)", "no comma before"),
        ("(Red) Blue", "no comma before 'Blue'"),
        ("Red/", "the tag 'Red/'"),
        ("Label/#", "the tag 'Label/#'"),
        ("{column}", "the tag '{column}'"),
        ("Red\nBlue", "Red"),
        (" ", "' '"),
        (5, "5"),
    ],
)
def test_a_wrong_form_is_named(text: object, words: str) -> None:
    problem = hed_problem(text)
    assert problem is not None
    assert words in problem


def test_the_schema_knows_what_is_shipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hed")
    paths = list(SHIPPED.glob("*.toml"))
    tags = {step.hed for path in paths for step in read_study(path).steps if step.hed}
    page = (GUIDE / "markers.md").read_text(encoding="utf-8")
    example = tomllib.loads(page.split("```toml\n")[1].split("```")[0])
    named = {each.hed for each in parse_meanings(example["markers"]).values() if each.hed}
    assert len(named) > 1
    tags |= named
    wrong = "Agent-action, Eyes-wide"
    assert hed_problem(wrong) is None
    assert len(tags) > 3
    found = schema_problems([*tags, wrong])
    assert list(found) == [wrong]
    assert "'Eyes-wide'" in found[wrong]
    path = tmp_path / "rest.toml"
    path.write_text(f"[[step]]\ntext = 'Rest'\nhed = '{wrong}'\n", encoding="utf-8")
    with pytest.raises(typer.Exit):
        check(path)
    told = " ".join(capsys.readouterr().err.split())
    assert "in the field hed of step 1 of rest.toml, but found" in told
    assert "'Eyes-wide'" in told
    with pytest.raises(BadMarkers, match=r"tags of HED .* for the marker 'x', but found '.*-wide"):
        check_tags({"x": MarkerMeaning("x", wrong)})

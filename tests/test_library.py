"""The public names of ``mimamba``: importable anywhere, and loaded at their first use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mimamba

IMPORT_EACH = """
import json, sys, models
found = {}
for name in sys.argv[1:]:
    space = {}
    exec(f"from mimamba import {name}", space)
    found[name] = [space[name].__module__, space[name].__name__]
print(json.dumps([models.OWN, found]))
"""


def run(code: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder whose packages have the names of ours."""
    for name in ("drivers", "models", "service"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWN = True\n")
    return tmp_path


def test_each_name_can_be_imported_beside_a_folder_called_models(folder: Path) -> None:
    own, found = json.loads(run(IMPORT_EACH, folder, *mimamba.__all__))
    assert own is True  # the user's own package is still the one that they import
    assert found.keys() == set(mimamba.__all__)
    for name, (module, called) in found.items():
        assert module.startswith("mimamba."), name
        assert called == name


def test_nothing_is_loaded_before_it_is_used(folder: Path) -> None:
    code = "import mimamba, sys; print([m for m in sys.modules if m.startswith('mimamba.')])"
    assert run(code, folder).strip() == "[]"


def test_dir_lists_the_public_names() -> None:
    listed = dir(mimamba)
    assert set(mimamba.__all__) == {name for name in listed if not name.startswith("__")}
    assert mimamba.__all__ == sorted(mimamba.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'mimamba' has no attribute 'open_headset'"):
        mimamba.open_headset  # noqa: B018

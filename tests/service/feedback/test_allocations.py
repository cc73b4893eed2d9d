"""Allocations: balanced in blocks, kept with the person, and without a name in the study's file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.service.feedback.allocations import Allocations, BadAllocation
from mimamba.service.people.people import CannotKeep, People
from mimamba.service.storage.private_files import partial_of


@settings(max_examples=10, deadline=None)
@given(block=st.sampled_from([2, 4, 6]), deleted=st.sets(st.integers(0, 11)))
def test_each_block_is_balanced_whoever_is_deleted(block: int, deleted: set[int]) -> None:
    with TemporaryDirectory() as made:
        folder, arms = Path(made), []
        people = People(folder / "people")
        for number in range(12):
            # Each person comes after a restart of the service.
            allocations = Allocations(people, folder / "allocations")
            arms.append(allocations.arm_of("rest", f"P{number}", block))
            if number in deleted:
                people.delete(f"P{number}")
        for start in range(0, 12, block):
            assert arms[start : start + block].count("sham") == block // 2
        assert "P" not in (folder / "allocations" / "rest.json").read_text("utf-8")


def test_a_place_is_spent_only_for_somebody(tmp_path: Path) -> None:
    people = People(tmp_path / "people")
    allocations = Allocations(people, tmp_path / "allocations")
    people.add("P1")
    blocked = partial_of(people.file_of("P1"))
    blocked.mkdir()  # so that the file cannot be written
    for _ in range(3):
        with pytest.raises(CannotKeep):
            allocations.arm_of("rest", "P1", 2)
    blocked.rmdir()
    assert {allocations.arm_of("rest", each, 2) for each in ("P1", "P2")} == {"real", "sham"}


def test_services_with_one_folder_draw_of_the_same_blocks(tmp_path: Path) -> None:
    people = People(tmp_path / "people")
    services = [Allocations(people, tmp_path / "allocations") for _ in range(2)]

    def draw(number: int) -> str:
        return services[number % 2].arm_of("rest", f"P{number}", 20)

    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(draw, range(20))].count("sham") == 10


def test_studies_draw_for_themselves_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    people = People(tmp_path / "people")
    allocations = Allocations(people, tmp_path / "allocations")
    first = allocations.arm_of("one", "P1", 2)
    assert allocations.arm_of("one", "P2", 2) != first
    other = allocations.arm_of("other", "P1", 2)
    assert people.get("P1").arms == {"one": first, "other": other}
    (tmp_path / "allocations" / "one.json").write_text("{")
    assert allocations.arm_of("one", "P2", 2) != first  # nothing is drawn
    with pytest.raises(BadAllocation, match=r"one\.json"):
        allocations.arm_of("one", "P3", 2)

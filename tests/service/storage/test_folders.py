"""The data folder: where it can be written, and why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mimamba.service.storage.folders import CannotRecord, check_writable


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "not" / "yet")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotRecord, match=r"Not a directory\. Correct its path"):
            check_writable(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="remounts a folder")
def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    if os.geteuid():
        tmp_path.chmod(0o500)
    elif subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("a read-only filesystem can only be mounted by a privileged root")
    try:
        with pytest.raises(CannotRecord, match=r"Cannot write a recording to .*--data-dir\.$"):
            check_writable(tmp_path / "data")
    finally:
        if os.geteuid():
            tmp_path.chmod(0o700)
        else:
            subprocess.run(["umount", str(tmp_path)], check=True)

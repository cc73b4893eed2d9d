"""Locks and files by descriptor."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mimamba.drivers.runtime.file_locks import create_private, lock_file, sync_folder


def test_a_lock_is_seen_by_others_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    first = create_private(path)
    lock_file(first)
    second = os.open(path, os.O_RDWR)
    for shared in (False, True):
        with pytest.raises(BlockingIOError):
            lock_file(second, shared)
    os.write(first, b"line\nend")
    assert path.read_bytes() == b"line\nend"  # a locked file can be read
    os.close(first)
    lock_file(second, shared=True)
    third = os.open(path, os.O_RDONLY)
    lock_file(third, shared=True)
    os.close(second)
    os.close(third)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = (
        "import sys; from pathlib import Path;"
        "from mimamba.drivers.runtime.file_locks import create_private, lock_file;"
        "lock_file(create_private(Path(sys.argv[1]))); print(flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    file = os.open(path, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        lock_file(file)
    process.kill()
    process.communicate()
    lock_file(file, wait=True)
    os.close(file)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_private_file_is_new_and_only_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "file"
    os.close(create_private(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        create_private(path)
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")

"""Limits of a process, where the system has them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mimamba.drivers.runtime.process_limits import most_descriptors, most_memory

CODE = """
import json, sys
from mimamba.drivers.runtime.process_limits import limit_process, most_memory
limit_process(1 << 40, 300, 1 << 20)
try:
    with open(sys.argv[1], "wb") as file:
        file.write(bytes(2 << 20))
except OSError as error:
    print(json.dumps([most_memory(), error.errno]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no limits")
def test_a_limited_process_writes_no_longer_file(tmp_path: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, f"{tmp_path}/file"], capture_output=True, text=True, check=True
    )
    memory, _ = json.loads(done.stdout)
    assert memory == 1 << 40
    assert (most_descriptors() or 1) > 0
    assert (most_memory() or 1) > 0

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from mimamba.service.server.gc import lasting

with lasting():
    import fractions
    assert not gc.isenabled()
assert gc.isenabled()
assert not any(each is vars(fractions) for each in gc.get_objects())
made = {"after": []}
assert any(each is made for each in gc.get_objects())
"""


def test_what_was_made_within_is_not_looked_at_and_what_comes_after_is() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)

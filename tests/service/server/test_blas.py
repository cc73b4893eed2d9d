from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json
import numpy
from mimamba.service.server.blas import stay_single
stay_single()
import scipy.linalg
from threadpoolctl import threadpool_info
print(json.dumps([each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]))
"""


def test_no_blas_has_threads_of_its_own_loaded_before_or_after() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert set(json.loads(told.stdout)) == {1}

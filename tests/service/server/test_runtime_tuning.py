from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

MALLOC = """
import ctypes, sys
if sys.argv[1] == "limited":
    from mimamba.service.server.runtime_tuning import limit_malloc_arenas
    limit_malloc_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
class Usage(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]
libc.mallinfo2.restype = Usage
libc.free(ctypes.c_void_p(libc.malloc(16 << 20)))  # after which glibc keeps as much on its heap
before = libc.mallinfo2().hblkhd
block = libc.malloc(1 << 20)
print(libc.mallinfo2().hblkhd - before)
"""

BLAS = """
import json
import numpy
from mimamba.service.server.runtime_tuning import limit_blas_threads
limit_blas_threads()
import scipy.linalg
from threadpoolctl import threadpool_info
print(json.dumps([each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]))
"""

GC = """
import gc, linecache
from mimamba.service.server.runtime_tuning import freeze_gc

with freeze_gc():
    import fractions
    assert not gc.isenabled()
    assert linecache.getlines(fractions.__file__)
assert gc.isenabled()
assert not linecache.cache
assert not any(each is vars(fractions) for each in gc.get_objects())
made = {"after": []}
assert any(each is made for each in gc.get_objects())
"""


def output_of(program: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="the C library is not glibc 2.33 or newer",
)
def test_a_large_block_goes_back_to_the_system_however_large_others_were_before() -> None:
    assert int(output_of(MALLOC, "as it is")) == 0
    assert int(output_of(MALLOC, "limited")) >= 1 << 20


def test_blas_has_one_thread_whether_loaded_before_or_after() -> None:
    assert set(json.loads(output_of(BLAS))) == {1}


def test_objects_made_inside_are_not_collected_and_later_ones_are() -> None:
    output_of(GC)

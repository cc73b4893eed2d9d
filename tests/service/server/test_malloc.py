"""Large blocks are the system's own again once they are freed, however large others were before."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys
if sys.argv[1] == "kept small":
    from mimamba.service.server.malloc import keep_small
    keep_small()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
class Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]
libc.mallinfo2.restype = Told
libc.free(ctypes.c_void_p(libc.malloc(16 << 20)))  # after which glibc keeps as much on its heap
before = libc.mallinfo2().hblkhd
block = libc.malloc(1 << 20)
print(libc.mallinfo2().hblkhd - before)
"""


def own_pages(how: str) -> int:
    """Bytes of pages of its own that a block of 1 MiB gets."""
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return int(told.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="the C library is not glibc 2.33 or newer",
)
def test_a_large_block_has_pages_of_its_own() -> None:
    assert own_pages("as it is") == 0
    assert own_pages("kept small") >= 1 << 20

"""Files by descriptor, and locks on them, on every system.

Windows has no ``fcntl`` and none of the flags that Unix has for links and pipes. Its own locks keep
others from reading what is locked, so that a recording could not be read while it is written. Here
one byte is locked there, far behind the end of any file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

BINARY = getattr(os, "O_BINARY", 0)
"""Flag without which Windows writes a line feed as two bytes."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag by which a link is refused; Windows has none."""
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Flag by which a pipe does not block; Windows has none, and no such pipes in folders."""
LOCKED_BYTE = 1 << 62
"""Position of the byte that is locked on Windows."""


def create_private(path: Path) -> int:
    """Create a file that only its owner can read, and open it to write.

    Raises
    ------
    FileExistsError
        If the path exists.
    OSError
        If the file cannot be created.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600)


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk; raises OSError.

    Windows does not open folders as files; its file system keeps a log of its entries.
    """
    if sys.platform == "win32":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    FAIL_IMMEDIATELY, EXCLUSIVE = 1, 2  # LockFileEx in Microsoft's documentation
    LOCK_VIOLATION = 33

    class _Overlapped(ctypes.Structure):
        _fields_ = (
            ("internal", ctypes.c_size_t),
            ("internal_high", ctypes.c_size_t),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        )

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _lock_file = _kernel.LockFileEx
    _lock_file.restype = wintypes.BOOL
    _lock_file.argtypes = (
        wintypes.HANDLE,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(_Overlapped),
    )

    def lock_file(file: int, shared: bool = False, wait: bool = False) -> None:
        """Lock a file; see the version for other systems."""
        flags = (0 if wait else FAIL_IMMEDIATELY) | (0 if shared else EXCLUSIVE)
        place = _Overlapped(offset=LOCKED_BYTE & 0xFFFFFFFF, offset_high=LOCKED_BYTE >> 32)
        handle = msvcrt.get_osfhandle(file)
        if not _lock_file(handle, flags, 0, 1, 0, ctypes.byref(place)):
            error = ctypes.get_last_error()
            if error == LOCK_VIOLATION:
                raise BlockingIOError(f"another program has locked the file ({error})")
            raise ctypes.WinError(error)

else:
    import fcntl

    def lock_file(file: int, shared: bool = False, wait: bool = False) -> None:
        """Lock an open file until it is closed or this process ends.

        Parameters
        ----------
        file
            Descriptor.
        shared
            True for a lock that several may have, if none has another.
        wait
            True to wait until it can be locked.

        Raises
        ------
        BlockingIOError
            If another program, or another descriptor of this one, has locked it.
        OSError
            If it cannot be locked.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)

"""Windows for our own code, on another system: what it lacks is gone, what it has is stood in for.

``python -m tests.windows.stand_in imports`` imports every module of mimamba, any other arguments
run the command line. Libraries are those of this system and were imported before; so this shows
that our code needs nothing of Unix, not that it works on Windows.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import importlib
import os
import pkgutil
import signal
import socket
import sys
import types
from typing import Any, NoReturn

ABSENT_MODULES = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix")
ABSENT = {
    os: (
        *("fork", "forkpty", "sched_getaffinity", "sched_setaffinity", "getuid", "geteuid"),
        *("getgid", "getegid", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC", "O_SYNC"),
        *("getloadavg", "sysconf", "killpg", "setsid", "fchmod", "chown", "mkfifo"),
        *("pread", "pwrite", "uname", "nice", "getpgid", "openpty", "sendfile", "posix_fadvise"),
    ),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGALRM", "pthread_kill"),
}
LOCK_VIOLATION = 33


class LoopOfWindows(asyncio.SelectorEventLoop):
    """An event loop that cannot do what the ProactorEventLoop cannot."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotImplementedError

    add_reader: Any = _refuse
    add_writer: Any = _refuse
    add_signal_handler: Any = _refuse


class Kernel:
    """kernel32 as far as it is used: LockFileEx, by the locks of this system."""

    def __init__(self, name: str, use_last_error: bool) -> None:
        assert (name, use_last_error) == ("kernel32", True)
        flock, exclusive, shared, at_once = fcntl.flock, fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB

        def lock(file: int, flags: int, reserved: int, low: int, high: int, place: Any) -> bool:
            where = place._obj
            assert (reserved, low, high) == (0, 1, 0)  # one byte
            assert where.offset_high << 32 | where.offset > 1 << 60  # nobody reads there
            kind = exclusive if flags & 2 else shared
            try:
                flock(file, kind | at_once if flags & 1 else kind)
            except BlockingIOError:
                return False
            return True

        self.LockFileEx = lock


ELSEWHERE = ("triton",)
"""Packages without which a module of ours is not used: it comes with PyTorch for CUDA."""


def module_names() -> list[str]:
    """Names of all modules of mimamba."""
    import mimamba

    found = pkgutil.walk_packages(mimamba.__path__, "mimamba.")
    return [each.name for each in found if not each.name.endswith("__main__")]


def import_modules() -> int:
    """Import all modules that can be, and return their number."""
    names = module_names()
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in ELSEWHERE:
                raise
    return len(names)


def become_windows() -> None:
    """Import everything, forget our own modules, and take away what Windows lacks."""
    import_modules()
    for name in [name for name in sys.modules if name.partition(".")[0] == "mimamba"]:
        del sys.modules[name]
    msvcrt: Any = types.ModuleType("msvcrt")
    msvcrt.get_osfhandle = lambda file: file
    sys.modules["msvcrt"] = msvcrt
    windows: Any = ctypes
    windows.WinDLL, windows.get_last_error = Kernel, lambda: LOCK_VIOLATION
    asyncio.ProactorEventLoop = LoopOfWindows  # type: ignore[attr-defined]
    socket.SO_EXCLUSIVEADDRUSE = socket.SO_REUSEADDR  # type: ignore[attr-defined]  # here exclusive
    blocked: dict[str, Any] = sys.modules
    for name in ABSENT_MODULES:
        blocked[name] = None
    for module, names in ABSENT.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    sys.platform = "win32"


def main() -> None:
    become_windows()
    if sys.argv[1:] == ["imports"]:
        print(f"{import_modules()} modules")  # noqa: T201
        return
    from mimamba.service.cli.main import main as run

    run()


if __name__ == "__main__":
    main()

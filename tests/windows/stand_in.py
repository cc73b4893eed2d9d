"""Windows for our own code, on another system: what it lacks is gone, what it has is stood in for.

``python -m tests.windows.stand_in`` reads a line of JSON for each command: its arguments, and the
files of its output and its errors. Each runs in a process of its own, forked once everything is
imported; the process's number is printed when it starts, and its exit status when it has ended. The
command ``imports`` imports every module of mimamba, any other is one of the command line. Libraries
are those of this system and were imported before; so this shows that our code needs nothing of
Unix, not that it works on Windows.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
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
    kill = signal.SIGKILL
    subprocess.Popen.kill = lambda self: self.send_signal(kill)  # type: ignore[method-assign]
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


def run(arguments: list[str]) -> None:
    """Run one command, in a process of its own."""
    if arguments == ["imports"]:
        print(f"{import_modules()} modules")  # noqa: T201
        return
    from mimamba.service.cli.main import main

    sys.argv[:] = ["mimamba", *arguments]
    main()


def main() -> None:
    fork = os.fork
    become_windows()
    gc.freeze()  # or each process would copy what it looks through at its end
    for line in sys.stdin:
        arguments, *files = json.loads(line)
        child = fork()
        if child == 0:
            for descriptor, file in enumerate(files, 1):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
            run(arguments)
            sys.exit()
        print(child, flush=True)  # noqa: T201
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

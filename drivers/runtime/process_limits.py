"""Limits on what a process may use: Unix has them, Windows has none of this kind."""

from __future__ import annotations

from contextlib import suppress

try:
    import resource
except ImportError:  # on Windows
    HAS_LIMITS = False
else:
    HAS_LIMITS = True


def limit_process(memory: int, seconds: int, written: int) -> None:
    """Limit this process, as far as the system can.

    Parameters
    ----------
    memory
        Bytes of address space.
    seconds
        Processor time.
    written
        Bytes of the longest file that it may write.
    """
    if not HAS_LIMITS:
        return
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def most_descriptors() -> int | None:
    """Return the number of files and connections that may be open; None without a limit."""
    return _limit(resource.RLIMIT_NOFILE) if HAS_LIMITS else None


def most_memory() -> int | None:
    """Return the address space that this process may use, bytes; None without a limit."""
    return _limit(resource.RLIMIT_AS) if HAS_LIMITS else None


def _limit(kind: int) -> int | None:
    limit, _ = resource.getrlimit(kind)
    return None if limit == resource.RLIM_INFINITY else limit

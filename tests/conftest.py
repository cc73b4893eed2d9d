"""Fixtures that several test modules use."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from typer.main import get_command

from tests.service.forked import LoadedProgram, LoadedServer

# A deadline would be a hidden assertion about time. Continuous integration tries the same examples
# each time; people's machines try new ones.
# MIMAMBA_EXAMPLES=1000 tries more of them.
settings.register_profile(
    "mimamba",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=int(os.environ.get("MIMAMBA_EXAMPLES", "30")),
)
settings.load_profile("mimamba")

# One thread for torch and numpy, here and in the processes that tests start: the tests' networks
# are too small to be worth sharing out, and pytest-xdist's workers would take the processors from
# each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARES = {"page": 0.5, "examples": 0.3, "service": 0.75}
"""Part of the run in which a folder's files begin; those of the others begin until its end.

A page keeps a processor busy, and many tests of the service wait: so both are mixed, and what takes
longest keeps nobody waiting at the end.
"""


LSL = Path(__file__).parent / "drivers" / "lsl"
"""Folder of the tests that search for LSL streams."""


def pytest_xdist_auto_num_workers() -> int:
    """Choose two workers to a processor: half of a test's time is waiting for live streams."""
    return min(2 * (os.cpu_count() or 1), 8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the folders' files as SHARES says, and put those of LSL far from each other.

    Where dozens of outlets answer at once, liblsl's searches miss some.
    """
    here = Path(__file__).parent
    files: dict[Path, list[pytest.Item]] = {}
    folders: dict[str, list[Path]] = {}
    for item in items:
        if item.path not in files:
            top = item.path.relative_to(here).parts[0]
            folders.setdefault(top if top in SHARES else "", []).append(item.path)
        files.setdefault(item.path, []).append(item)
    places = {
        each: SHARES.get(top, 1.0) * nth / len(found)
        for top, found in folders.items()
        for nth, each in enumerate(found)
    }
    ordered = sorted((each for each in files if LSL not in each.parents), key=places.__getitem__)
    apart = [each for each in files if LSL in each.parents]
    step = len(ordered) // (len(apart) + 1) + 1
    for nth, each in enumerate(apart, 1):
        ordered.insert(nth * step + nth - 1, each)
    items[:] = [item for each in ordered for item in files[each]]


def pytest_collection_finish() -> None:
    """Leave what was imported out of the garbage collector's later passes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the recordings are not there: {folder}")
    return folder


SERVER = pytest.StashKey[LoadedServer]()
"""The process with all libraries loaded that the workers of pytest-xdist share."""


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # pytest-xdist's own type is private
    """Tell a worker where the process is that all of them share."""
    stash = node.config.stash
    if SERVER not in stash:
        stash[SERVER] = LoadedServer()
    node.workerinput["loaded"] = stash[SERVER].address


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process that the workers shared."""
    if server := config.stash.get(SERVER, None):
        server.close()


@pytest.fixture(scope="session")
def loaded(request: pytest.FixtureRequest) -> Iterator[LoadedProgram]:
    """Programs forked from a process with all libraries loaded."""
    with closing(
        LoadedProgram(getattr(request.config, "workerinput", {}).get("loaded"))
    ) as program:
        yield program


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _recordings_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the recordings or settings of the person who runs it."""
    settings = tmp_path_factory.mktemp("settings") / "mimamba.toml"
    settings.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIMAMBA_CONFIG", str(settings))
        patch.setenv("MIMAMBA_DATA_DIR", str(tmp_path_factory.mktemp("recordings")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_once() -> Iterator[None]:
    """Commands are built once, not anew for each that a test runs in this process: 0.1 s of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _lsl_on_loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """LSL stays on this machine, and among the tests of one run.

    liblsl reads its configuration once, at the first use of the network.
    """
    path = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    path.write_text(
        "[ports]\nIPv6 = disable\n"
        "[multicast]\nAddressesOverride = {127.0.0.1}\nListenAddress = 127.0.0.1\n"
        # The address above reaches one outlet only; as a peer, it is asked on each outlet's port.
        f"[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = mimamba-tests-{os.getpid()}\n"
        # Clock offsets in 0.1 s instead of 0.6 s, and where a busy machine answers too late, anew
        # after 0.5 s instead of 2 s; peers asked after 0.1 s instead of 0.5 s.
        "[tuning]\nTimeProbeInterval = 0.01\nTimeProbeMaxRTT = 0.02\nTimeUpdateInterval = 0.5\n"
        "MulticastMinRTT = 0.1\n"
        "[log]\nlevel = -3\n"
    )
    before = os.environ.get("LSLAPICFG")
    os.environ["LSLAPICFG"] = str(path)
    yield
    os.environ.pop("LSLAPICFG")
    if before is not None:
        os.environ["LSLAPICFG"] = before


@pytest.fixture(scope="session", autouse=True)
def _nobodys_bluetooth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test scans with the adapter of the person who runs it: there is no system bus."""
    with pytest.MonkeyPatch.context() as patch:
        nowhere = tmp_path_factory.mktemp("bus") / "none"
        patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={nowhere}")
        yield

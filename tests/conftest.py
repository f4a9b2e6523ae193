"""What every test may use: the recorded cluster, as files and served, one pack of the demo, programs of the system."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apiserver import ApiServer, serving

import auditkit as ak
from auditkit.resources import folder

RECORDINGS = Path(__file__).parent / "recordings"
# The days on which the cluster was recorded.
DATES = ("2026-07-01", "2026-08-15", "2026-09-30", "2026-10-31")
# The engagement of the demo, with its imports.
DEMO = folder("data") / "demo" / "auditkit.toml"


@pytest.fixture(scope="session")
def recordings() -> Path:
    return RECORDINGS


@pytest.fixture
def october(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that serves the last recording, past any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(ApiServer(RECORDINGS / "northwind-prod" / DATES[-1])) as api:
        yield api


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sealed pack of the demo cluster, with its imports: tests read it, or change a copy.

    The workers of pytest-xdist share one: their folders lie in that of the session.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    pack = shared / "demo"
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not pack.exists():
            ak.run("demo", pack, config=DEMO)
    return pack


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """The path of a program of the system. Without it a test skips, or fails where AUDITKIT_REQUIRE is set."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found:
            return found
        reason = f"{name} is not installed"
        if os.environ.get("AUDITKIT_REQUIRE"):
            pytest.fail(f"{reason}, and AUDITKIT_REQUIRE is set", pytrace=False)
        pytest.skip(reason)

    return find

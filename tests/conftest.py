"""What every test may use: the recorded cluster."""

from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parent / "recordings"
DATES = ("2026-07-01", "2026-08-15", "2026-09-30", "2026-10-31")


@pytest.fixture(scope="session")
def recordings() -> Path:
    return RECORDINGS

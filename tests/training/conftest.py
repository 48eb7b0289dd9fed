"""Cleared footage, encoded once."""

from __future__ import annotations

import pytest

from governance.snapshots.snapshot import Snapshot
from tests.training.cleared_footage import Footage, make_footage, make_snapshot


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Three short films. Read only: copy what you change."""
    return make_footage(tmp_path_factory.mktemp("footage"))


@pytest.fixture
def snapshot(footage: Footage) -> Snapshot:
    """A snapshot of five clips."""
    return make_snapshot(footage)

"""Vectors that are held in memory, and those beyond the limit."""

from __future__ import annotations

import numpy as np
import pytest

from db.project import Project
from ingest.pictures.vectors import VectorStore, recipe_digest
from tests.training.screening.licensed_model import GridEncoder
from training.screening.held_vectors import HeldVectors

IDENTITY = GridEncoder.identity


@pytest.fixture
def assets(project: Project) -> list[str]:
    """Digests of all files of the project."""
    return sorted(
        path.name.removesuffix(".parquet")
        for path in project.vectors.glob(f"{recipe_digest(IDENTITY)[:16]}/*/*.parquet")
        if "stills" not in path.name
    )


@pytest.mark.parametrize(("max_rows", "expected_readings"), [(1000, 1), (9, 2)])
def test_blocks_are_read_once_as_far_as_they_fit(
    project: Project,
    assets: list[str],
    monkeypatch: pytest.MonkeyPatch,
    max_rows: int,
    expected_readings: int,
) -> None:
    """Two files at a time: of two such blocks the second does not fit into nine rows."""
    read: list[str] = []
    columns = VectorStore._read_columns

    def counted(store: VectorStore, asset: str, *rest: object) -> object:
        read.append(asset)
        return columns(store, asset, *rest)  # type: ignore[arg-type]

    plain = list(VectorStore(project.vectors).blocks(assets[2:], IDENTITY, max_rows=4))
    monkeypatch.setattr(VectorStore, "_read_columns", counted)
    held = HeldVectors(project.vectors, max_rows=max_rows)
    for _ in range(2):
        blocks = list(held.blocks(assets[2:], IDENTITY, max_rows=4))
        assert [block.assets for block in blocks] == [block.assets for block in plain]
        for block, expected in zip(blocks, plain, strict=True):
            assert np.array_equal(block.vectors_ND, expected.vectors_ND)
            assert np.array_equal(block.asset_N, expected.asset_N)
    assert read == assets[2:] * expected_readings

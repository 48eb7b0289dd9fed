"""What every test may ask for: shared media, a fresh database, a device."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_POSTGRES_VARIABLE = "CLEARTITLE_TEST_POSTGRES"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def _shared_folder(variable: str, name: str) -> Path:
    """Return the folder the environment names, else the one beside the checkout; skip without either."""
    named = os.environ.get(variable)
    folder = Path(named) if named else _ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"no shared media at {folder}; set {variable} to where they are")
    return folder


@pytest.fixture(scope="session")
def shared_footage() -> Path:
    """The folder of real footage with LICENSES.csv and GROUND_TRUTH.csv, beside the checkout."""
    return _shared_folder("CLEARTITLE_FOOTAGE", "footage")


@pytest.fixture(scope="session")
def shared_c2pa() -> Path:
    """The folder of published Content Credentials samples and trust lists, beside the checkout."""
    return _shared_folder("CLEARTITLE_C2PA", "c2pa")


def _fresh_postgres_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server, yield its URL, and drop it whoever is still connected."""
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.pool import NullPool

    server = make_url(server_url).set(drivername="postgresql+psycopg")
    name = f"cleartitle_test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of this test's own: a SQLite file, then a PostgreSQL database.

    PostgreSQL needs CLEARTITLE_TEST_POSTGRES, the URL of a server on which databases may be created.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server_url = os.environ.get(_POSTGRES_VARIABLE)
    if not server_url:
        pytest.skip(f"no PostgreSQL server: {_POSTGRES_VARIABLE} is not set")
    yield from _fresh_postgres_database(server_url)


@pytest.fixture(autouse=True)
def _skip_without_cuda(request: pytest.FixtureRequest) -> None:
    """Skip tests marked `gpu` on a machine without a CUDA device."""
    if request.node.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")

"""Names that a licensed run gives."""

from __future__ import annotations

from sqlalchemy import String

from db import models
from training.licensed_run import model_urn


def test_the_name_of_a_model_fits_its_column() -> None:
    """It had room for 64 characters of 85: on PostgreSQL every `train` failed at its end, SQLite does not count."""
    column = models.Model.__table__.c.urn.type
    assert isinstance(column, String)
    assert column.length is not None
    assert len(model_urn("0" * 64)) <= column.length

"""Recording what a site says: one scope for each address, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ingest.signals.record import Signal

if TYPE_CHECKING:
    from db.project import Project


def url_scope(url: str) -> str:
    """Return the scope under which the signals of an address are recorded."""
    return f"url:{url}"


def asset_scope(sha256: str) -> str:
    """Return the scope under which the signals of a file are recorded."""
    return f"asset:{sha256}"


def record_site_signals(project: Project, found: Mapping[str, Sequence[Signal]]) -> int:
    """Record the signals of every address; return how many are new."""
    from db.signals import add_signals

    with project.session() as session:
        return sum(
            add_signals(session, url_scope(url), [signal.as_row() for signal in said])
            for url, said in found.items()
        )

"""What every review command takes, and the desk that it opens with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from db.errors import ConfigError
from db.terminal import project_option

if TYPE_CHECKING:
    from governance.review.desk import Desk

F = TypeVar("F", bound=Callable[..., Any])

_MAX_KEY = (1 << 63) - 1
"""As far as the databases count."""
REVIEW_ID = click.IntRange(1, _MAX_KEY)
CLIP_KEY = click.IntRange(0, _MAX_KEY)

policy_option = click.option(
    "--policy", "policy_name", help="Review under this policy (default: the one applied last)."
)
reason_option = click.option("--reason", required=True, help="Why: what you saw, which document you rely on.")


def reviewer_options(command: F) -> F:
    """Add --policy, --reviewer and --project."""
    named = click.option(
        "--reviewer", help="Who you are (default: CLEARTITLE_ACTOR, else the name you are logged in with)."
    )
    return policy_option(named(project_option(command)))


def open_desk(project_dir: Path, policy_name: str | None, reviewer: str | None) -> Desk:
    """Open the desk of a project. Raises `ConfigError` if nothing is decided under the policy."""
    from db.decisions import decided_policies
    from db.events import current_actor
    from db.project import open_project
    from governance.review.desk import Desk
    from governance.review.requests import Reviewer

    project = open_project(project_dir)
    with project.session() as session:
        decided = decided_policies(session)
    name = policy_name or next(iter(decided), None)
    if name is None:
        raise ConfigError("nothing is decided yet", hint="run `cleartitle clear --policy NAME` first")
    if name not in decided:
        raise ConfigError(
            f"nothing is decided under {name!r}",
            hint=f"policies that were applied: {', '.join(decided) or 'none'}",
        )
    return Desk(project=project, reviewer=Reviewer(name=reviewer or current_actor(), policy_name=name))

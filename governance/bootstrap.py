"""Making a project folder, or bringing an older one up to date: settings, database, store, development keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from db.database import migrate
from db.errors import ConfigError
from db.events import record_event
from db.files import write_durably
from db.project import CONFIG_NAME, DEFAULT_CONFIG, Project, open_project
from governance.signing.keys import create_development_keys
from ingest.watermark.keys import WATERMARK_KEY_FILE, write_watermark_key


@dataclass(frozen=True)
class Bootstrapped:
    """What `init` found and made."""

    project: Project
    is_new: bool
    made_keys: bool


def bootstrap(root: Path) -> Bootstrapped:
    """Create what is missing in `root` and migrate the database; what is there is kept.

    Raises `ConfigError` if `root` cannot be a project folder.
    """
    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root} is a file; a project is a folder")
    root.mkdir(parents=True, exist_ok=True)
    config = root / CONFIG_NAME
    is_new = not config.exists()
    if is_new:
        write_durably(config, DEFAULT_CONFIG.encode())
    project = open_project(root)
    for folder in (project.store, project.policies, project.outputs):
        folder.mkdir(exist_ok=True)
    made_keys = not project.keys.exists() or not any(project.keys.iterdir())
    if made_keys:
        create_development_keys(project.keys)
    watermark_key = project.keys / WATERMARK_KEY_FILE
    if not watermark_key.exists():
        write_watermark_key(watermark_key)
    migrate(project.database_url)
    with project.session() as session:
        record_event(session, "project.opened", str(project.root), {"is_new": is_new, "made_keys": made_keys})
    return Bootstrapped(project, is_new, made_keys)

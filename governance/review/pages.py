"""Drawing pages: Jinja2 with escaping on, and every foreign text made harmless before it is escaped."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from db.terminal import clock_text, safe_text
from governance.review.scopes import describe_scope

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def draw(name: str, **values: Any) -> str:
    """Return the page made by the template `name`."""
    return _environment().get_template(name).render(**values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {
        "clock": clock_text,
        "moment": _moment,
        "count": _count,
        "name": _file_name,
        "fact": _fact,
        "scope": describe_scope,
    }
    environment.globals |= {"query": _query}
    return environment


def shown(value: object) -> object:
    """Make control and direction-changing characters visible; markup of our own templates is left as it is."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return safe_text(value)
    return value


def _query(**fields: object) -> str:
    return urlencode({name: value for name, value in fields.items() if value not in ("", None)})


def _moment(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M")


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def _file_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _fact(value: Any) -> str:
    """Return a fact as a lawyer reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "none"
    return str(value) if value != "" else "not stated"

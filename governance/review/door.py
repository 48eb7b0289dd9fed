"""Who may come in to a desk: a link that works once, a session that ends, and a token on every form.

1. The desk prints a link with a random token. 2. Whoever opens it first (with the password, if there is one) gets a
session cookie, and the token is spent: a link that was overheard opens nothing afterwards. 3. Every form bears a token
of the session. 4. A session ends when it is ended, or after twelve hours without a visit.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from db.errors import RefusedError
from governance.review.passwords import PasswordDigest

IDLE = dt.timedelta(hours=12)
MAX_FAILURES = 10
"""Wrong tokens and passwords after which the link is spent: nobody gets to try them all."""


class Shut(RefusedError):
    """Somebody may not come in."""


@dataclass
class Visit:
    """One session, kept in memory only."""

    form_token: str
    last_seen: dt.datetime
    notices: list[str] = field(default_factory=list)
    """What the next page says once."""


class Door:
    """The one entrance of one desk."""

    def __init__(self, *, now: Callable[[], dt.datetime], password: PasswordDigest | None = None) -> None:
        self._now = now
        self._password = password
        self._visits: dict[str, Visit] = {}
        self._num_failures = 0
        self._token: str | None = secrets.token_urlsafe(32)

    @property
    def token(self) -> str | None:
        """What the link bears; `None` once it is spent."""
        return self._token

    @property
    def needs_password(self) -> bool:
        """Whether the link alone does not open."""
        return self._password is not None

    def knows(self, token: str) -> bool:
        """Return whether this is the token, not spent; a wrong one is counted."""
        if self._token is not None and hmac.compare_digest(self._token.encode(), token.encode()):
            return True
        self._count_failure()
        return False

    def enter(self, token: str, password: str = "") -> str:
        """Exchange the token for a new session and return the session's id. Raises `Shut`."""
        if not self.knows(token):
            raise Shut(
                "this link was used already, or is not the one of this desk", hint="start the desk again"
            )
        if self._password is not None and not self._password.matches(password):
            self._count_failure()
            raise Shut("the password is wrong")
        self._token = None
        session_id = secrets.token_urlsafe(32)
        self._visits[session_id] = Visit(form_token=secrets.token_urlsafe(32), last_seen=self._now())
        return session_id

    def _count_failure(self) -> None:
        self._num_failures += 1
        if self._num_failures >= MAX_FAILURES:
            self._token = None

    def visit(self, session_id: str) -> Visit | None:
        """Return the session with this id, unless it ended."""
        found = self._visits.get(session_id)
        if found is None:
            return None
        now = self._now()
        if now - found.last_seen >= IDLE:
            self.leave(session_id)
            return None
        found.last_seen = now
        return found

    def leave(self, session_id: str) -> None:
        """End a session."""
        self._visits.pop(session_id, None)

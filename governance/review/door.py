"""Who may come in to a desk: a link that works once, a session that ends, and a token on every form.

1. The desk prints a link with a random token. 2. Whoever opens it first (with the password, if there is one) gets a
session cookie, and the token is spent: a link that was overheard opens nothing afterwards. 3. Every form bears a token
of the session. 4. A session ends when it is ended, after twelve hours without a visit, or when its cookie comes from
another address or another browser than it was given to: then it was stolen, and nobody can say who is who.
"""

from __future__ import annotations

import datetime as dt
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from db.errors import RefusedError
from governance.review.passwords import PasswordDigest

_logger = logging.getLogger(__name__)

IDLE = dt.timedelta(hours=12)
MAX_FAILURES = 10
"""Wrong tokens and passwords after which the link is spent: nobody gets to try them all."""


class Caller(NamedTuple):
    """Where a request comes from, as far as it tells."""

    address: str
    browser: str


class Shut(RefusedError):
    """Somebody may not come in."""


@dataclass
class Visit:
    """One session, kept in memory only."""

    caller: Caller
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

    def enter(self, token: str, caller: Caller, password: str = "") -> str:
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
        self._visits[session_id] = Visit(
            caller=caller, form_token=secrets.token_urlsafe(32), last_seen=self._now()
        )
        return session_id

    def _count_failure(self) -> None:
        self._num_failures += 1
        if self._num_failures >= MAX_FAILURES:
            self._token = None

    def visit(self, session_id: str, caller: Caller) -> Visit | None:
        """Return the session with this id, unless it ended; somebody else's ends here."""
        found = self._visits.get(session_id)
        if found is None:
            return None
        now = self._now()
        if caller != found.caller:
            _logger.warning(
                "a session was ended: its cookie came from %s, and was given to %s",
                caller.address,
                found.caller.address,
            )
        if now - found.last_seen >= IDLE or caller != found.caller:
            self.leave(session_id)
            return None
        found.last_seen = now
        return found

    def leave(self, session_id: str) -> None:
        """End a session."""
        self._visits.pop(session_id, None)

"""Forms as browsers send them: read with limits, proven to come from our own pages, and turned into requests."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from db.errors import ConfigError, RefusedError
from db.review_queue import QueueFilter, QueueState
from db.vocabularies import Verdict

_MAX_BYTES = 256 << 10
_MAX_FIELDS = 2000
FORM_TOKEN = "form_token"
SUBMITTED_VERDICTS = (Verdict.APPROVE, Verdict.EXCLUDE, Verdict.WAIVE)


class Form:
    """The fields of one form; a name may come several times."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self._fields = tuple(fields)

    def one(self, name: str) -> str:
        """Return the first value, empty without one."""
        return next((value for key, value in self._fields if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value that is not empty."""
        return tuple(value for key, value in self._fields if key == name and value)

    def number(self, name: str) -> int:
        """Return a whole number. Raises `ConfigError` if it is none."""
        text = self.one(name)
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise ConfigError(f"the field {name} is {text[:40]!r}, expected a number")
        return int(text)

    def verdict(self) -> Verdict:
        """Return what was chosen. Raises `ConfigError` if nothing was."""
        try:
            verdict = Verdict(self.one("verdict"))
        except ValueError:
            verdict = Verdict.WITHDRAW
        if verdict not in SUBMITTED_VERDICTS:
            raise ConfigError("choose approve, exclude or waive first")
        return verdict

    def until(self) -> dt.datetime | None:
        """Return the end that was given: the end of that day in UTC. Raises `ConfigError` if it is no date."""
        text = self.one("until").strip()
        if not text:
            return None
        return end_of_day(text)


async def read_form(request: Request, form_token: str) -> Form:
    """Read the form of a POST.

    Raises `ConfigError` if it is too large or malformed, `RefusedError` if it was not made by a page of this session.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise ConfigError(f"the form is larger than {_MAX_BYTES} bytes")
    try:
        fields = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError as exc:
        raise ConfigError("the form cannot be read") from exc
    form = Form(fields)
    origin = request.headers.get("origin")
    is_ours = origin in {None, f"http://{request.headers['host'].lower()}"}
    is_same_site = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
    is_token_right = hmac.compare_digest(form.one(FORM_TOKEN).encode(), form_token.encode())
    if not (is_ours and is_same_site and is_token_right):
        raise RefusedError(
            "the form does not come from a page of this session", hint="load the page again and repeat"
        )
    return form


def read_filters(values: Mapping[str, str]) -> QueueFilter:
    """Return what of the queue an address asks for; what is not understood is left out."""
    try:
        state = QueueState(values.get("state", ""))
    except ValueError:
        state = QueueState.OPEN
    return QueueFilter(state=state, code=values.get("code", "")[:200], holder=values.get("holder", "")[:1000])


def filter_fields(filters: QueueFilter) -> dict[str, str]:
    """Return the fields of an address that `read_filters` understands."""
    fields = {"state": filters.state.value, "code": filters.code, "holder": filters.holder}
    return {name: value for name, value in fields.items() if value}


def queue_address(filters: QueueFilter, *, clip_id: str | None = None) -> str:
    """Return the address of the queue so filtered, or of a clip in it."""
    path = "/queue" if clip_id is None else f"/clips/{clip_id}"
    return f"{path}?{urlencode(filter_fields(filters))}"


def end_of_day(text: str) -> dt.datetime:
    """Return the end of a day such as 2027-03-31 in UTC, exclusive. Raises `ConfigError` if it is no date."""
    try:
        day = dt.date.fromisoformat(text)
        return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)
    except (ValueError, OverflowError) as exc:
        raise ConfigError(f"{text[:40]!r} is not a date such as 2027-03-31") from exc

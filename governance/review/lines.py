"""Verdicts as JSON lines: what a line may say, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

from db.errors import ConfigError, Error
from db.reviews import clip_scope
from db.vocabularies import Verdict
from governance.review.desk import Desk
from governance.review.forms import end_of_day
from governance.review.requests import Answer, VerdictRequest

_MAX_BYTES = 64 << 10
_KEYS = {"verdict", "reason", "clip", "scope", "review", "codes", "until", "conditions", "seen"}
_WORDS = ("approve", "exclude", "waive", "confirm", "withdraw")


def apply_line(desk: Desk, line: bytes) -> Answer:
    """Do what one line says, in a transaction of its own; what is wrong with it is part of the answer."""
    scope = ""
    try:
        wish = _read(line)
        scope = _scope(wish)
        word, reason = wish["verdict"], _text(wish, "reason")
        if word == "confirm":
            review = desk.confirm(_number(wish, "review"), reason)
        elif word == "withdraw":
            review = desk.withdraw(_number(wish, "review"), reason)
        else:
            review = desk.decide(_request(wish, scope))
        return Answer(scope=review.scope, review=review)
    except Error as exc:
        return Answer(scope=scope, error=exc)


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > _MAX_BYTES:
        raise ConfigError(f"the line is longer than {_MAX_BYTES} bytes")
    try:
        wish = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"the line is not JSON: {exc}") from exc
    if not isinstance(wish, dict):
        raise ConfigError("the line is not a JSON object")
    unknown = sorted(wish.keys() - _KEYS)
    if unknown:
        raise ConfigError(
            f"the key {unknown[0]!r} is not known", hint=f"keys are: {', '.join(sorted(_KEYS))}"
        )
    if wish.get("verdict") not in _WORDS:
        raise ConfigError(f"verdict is {wish.get('verdict')!r}", hint=f"verdicts are: {', '.join(_WORDS)}")
    return wish


def _scope(wish: dict[str, Any]) -> str:
    if wish["verdict"] in {"confirm", "withdraw"}:
        return ""
    if ("clip" in wish) == ("scope" in wish):
        raise ConfigError("give either clip or scope")
    return clip_scope(_text(wish, "clip")) if "clip" in wish else _text(wish, "scope")


def _request(wish: dict[str, Any], scope: str) -> VerdictRequest:
    codes = wish.get("codes", [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise ConfigError("codes must be a list of texts")
    return VerdictRequest(
        scope=scope,
        verdict=Verdict(wish["verdict"]),
        reason=_text(wish, "reason"),
        codes=tuple(codes),
        expires_at=end_of_day(_text(wish, "until")) if "until" in wish else None,
        conditions=_text(wish, "conditions") if "conditions" in wish else "",
        seen_id=_number(wish, "seen") if "seen" in wish else None,
    )


def _text(wish: dict[str, Any], key: str) -> str:
    value = wish.get(key)
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be a text")
    return value


def _number(wish: dict[str, Any], key: str) -> int:
    value = wish.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ConfigError(f"{key} must be a whole number")
    return value

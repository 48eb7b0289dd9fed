"""Reading SPDX license expressions (SPDX 2.3, annex D) into a small tree.

The names come from the SPDX list inside the `license-expression` package. Its ready-made SPDX vocabulary is
not used, because it also knows private aliases (it reads `LicenseRef-MIT-TC` as `MIT`): here a `LicenseRef-`
always stays what its owner called it, since it names a contract that only its owner knows.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from db.errors import ConfigError

_MAX_LENGTH = 1000
_MAX_PARENTHESES = 20
_LICENSE_REF = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_DEPRECATED_GNU_ID = re.compile(r"(A|L)?GPL-\d\.\d\+?|GFDL-\d\.\d")
"""Deprecated SPDX ids such as `GPL-2.0+`, which SPDX itself maps to `-or-later` and `-only`."""


class LicenseExpressionError(ConfigError):
    """A text is not an SPDX license expression made of listed ids and `LicenseRef-` names."""


@dataclass(frozen=True, slots=True)
class LicenseId:
    """One license: an id of the SPDX list in its official spelling, or a `LicenseRef-` as written."""

    id: str

    @property
    def is_ref(self) -> bool:
        """The id names terms outside the SPDX list."""
        return _LICENSE_REF.fullmatch(self.id) is not None

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class WithException:
    """A license with an SPDX exception added to it."""

    license: LicenseId
    exception: str

    def __str__(self) -> str:
        return f"{self.license} WITH {self.exception}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part applies at once (`AND`)."""

    parts: tuple[LicenseTree, ...]

    def __str__(self) -> str:
        return " AND ".join(f"({part})" if isinstance(part, AnyOf) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The licensee chooses one part (`OR`)."""

    parts: tuple[LicenseTree, ...]

    def __str__(self) -> str:
        return " OR ".join(f"({part})" if isinstance(part, AllOf) else str(part) for part in self.parts)


LicenseTree = LicenseId | WithException | AllOf | AnyOf


def parse_license(text: str) -> LicenseTree:
    """Parse a license expression; `str()` of the result is its normal spelling.

    Ids are matched without regard to case, as SPDX 2.3 annex D.2 asks. `NONE` and `NOASSERTION` are not
    licenses.

    Raises `LicenseExpressionError` for unknown ids and for anything that is not an expression.
    """
    if len(text) > _MAX_LENGTH or text.count("(") > _MAX_PARENTHESES:
        raise LicenseExpressionError(
            f"license expression of {len(text)} characters is too long or too deeply nested",
            hint="name a long contract by one LicenseRef- and keep its text as evidence",
        )
    return _parse_cached(text.strip())


@functools.lru_cache(maxsize=4096)
def _parse_cached(text: str) -> LicenseTree:
    from boolean import ParseError
    from license_expression import ExpressionError

    if not text:
        raise LicenseExpressionError("license expression is empty")
    if not _is_well_formed(text):
        raise _not_an_expression(text)
    try:
        parsed = _licensing().parse(text, validate=False, simple=True)
    except (ParseError, ExpressionError) as exc:
        raise _not_an_expression(text) from exc
    if parsed is None:
        raise _not_an_expression(text)
    return _tree(parsed, text)


def _is_well_formed(text: str) -> bool:
    """Check that operands and operators alternate: boolean.py 5 only asserts it, or fails in odd ways."""
    depth, expects_operand = 0, True
    for token in re.findall(r"[()]|[^\s()]+", text):
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif (token.upper() in {"AND", "OR", "WITH"}) == expects_operand:
            return False
        else:
            expects_operand = not expects_operand
            continue
        if depth < 0 or (token == "(") != expects_operand:
            return False
    return depth == 0 and not expects_operand


def _not_an_expression(text: str) -> LicenseExpressionError:
    return LicenseExpressionError(
        f"{text!r} is not an SPDX license expression",
        hint="write an SPDX id such as CC-BY-4.0, LicenseRef-NAME for a contract, or several joined by AND, OR, WITH",
    )


def _tree(node: Any, text: str) -> LicenseTree:
    import license_expression

    if isinstance(node, license_expression.LicenseWithExceptionSymbol):
        exception = _spdx_id(node.exception_symbol.key)
        if exception is None or exception not in _spdx_ids()[1]:
            raise LicenseExpressionError(
                f"{node.exception_symbol.key!r} is not an exception of the SPDX list"
            )
        return WithException(_license_id(node.license_symbol.key), exception)
    if isinstance(node, license_expression.LicenseSymbol):
        return _license_id(node.key)
    if not hasattr(node, "operator") or node.operator.strip().upper() not in {"AND", "OR"}:
        raise _not_an_expression(text)
    parts = tuple(_tree(part, text) for part in node.args)
    return AllOf(parts) if node.operator.strip().upper() == "AND" else AnyOf(parts)


def _license_id(key: str) -> LicenseId:
    if _LICENSE_REF.fullmatch(key):
        return LicenseId(key)
    official = _spdx_id(key)
    if official is None or official in _spdx_ids()[1]:
        raise LicenseExpressionError(
            f"{key!r} is not a license of the SPDX list",
            hint="see spdx.org/licenses for the ids; name a contract or any other terms LicenseRef-NAME",
        )
    return LicenseId(official)


def _spdx_id(key: str) -> str | None:
    return _spdx_ids()[0].get(key.casefold())


@functools.cache
def _spdx_ids() -> tuple[dict[str, str], frozenset[str]]:
    """Return the official spelling by folded id, and the ids which are exceptions."""
    from license_expression import get_license_index

    official: dict[str, str] = {}
    exceptions: set[str] = set()
    for entry in get_license_index():
        key = entry.get("spdx_license_key") or ""
        if not key or key.startswith("LicenseRef-"):
            continue
        official[key.casefold()] = key
        for other in entry["other_spdx_license_keys"]:
            if _DEPRECATED_GNU_ID.fullmatch(other):
                official[other.casefold()] = key
        if entry["is_exception"]:
            exceptions.add(key)
    return official, frozenset(exceptions)


@functools.cache
def _licensing() -> Any:
    """Return a grammar without a vocabulary of its own: the ids are checked here."""
    from license_expression import Licensing

    return Licensing()

"""Column types that recur: digests, UTC times, exact fractions, enums stored by value."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from fractions import Fraction
from typing import Annotated

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Enum, String, types
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import mapped_column


class UtcDateTime(types.TypeDecorator[dt.datetime]):
    """An aware UTC time. Naive values are refused instead of being guessed at."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Refuse naive times, convert the rest to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r}: give it a time zone")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Return aware UTC; SQLite hands back naive values."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class ExactFraction(types.TypeDecorator[Fraction]):
    """A `Fraction` stored as text `num/den`: frame rates and time bases are never rounded."""

    impl = String(48)
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> str | None:
        """Write `num/den`."""
        return None if value is None else f"{value.numerator}/{value.denominator}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Fraction | None:
        """Read `num/den`."""
        return None if value is None else _fraction(value)


@functools.lru_cache(maxsize=1024)
def _fraction(text: str) -> Fraction:
    """Read a fraction once: a library has a million assets and a dozen frame rates."""
    return Fraction(text)


def stored_by_value(vocabulary: type[enum.StrEnum], name: str = "") -> Enum:
    """A column type for `vocabulary` that stores the value and is checked by the database.

    A table with two columns of one vocabulary gives each check a name of its own.
    """
    return Enum(
        vocabulary,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        length=32,
        name=name or vocabulary.__name__.lower(),
    )


def sha256_check(column: str) -> CheckConstraint:
    """A CHECK that `column` has the length of a SHA-256 digest and is lower case."""
    return CheckConstraint(
        f"length({column}) = 64 AND {column} = lower({column})", name=f"{column}_is_sha256"
    )


Key = Annotated[int, mapped_column(primary_key=True)]
Big = Annotated[int, mapped_column(BigInteger)]
Sha256 = Annotated[str, mapped_column(String(64))]
Utc = Annotated[dt.datetime, mapped_column(UtcDateTime)]
Rational = Annotated[Fraction, mapped_column(ExactFraction)]

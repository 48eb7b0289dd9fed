from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from ingest.intake.readahead import read_ahead


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_everything_comes_in_order_and_the_thread_ends() -> None:
    assert list(read_ahead((number for number in range(500)), max_waiting=3)) == list(range(500))
    assert _threads() == []


def test_nothing_gives_nothing() -> None:
    assert list(read_ahead(number for number in range(0))) == []


def test_items_are_made_on_another_thread() -> None:
    (name,) = read_ahead(threading.current_thread().name for _ in range(1))
    assert name == "read-ahead"


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def items() -> Generator[int]:
        yield 1
        yield 2
        raise LookupError("damaged")

    seen: list[int] = []
    with pytest.raises(LookupError, match="damaged"):
        seen.extend(read_ahead(items()))
    assert seen == [1, 2]
    assert _threads() == []


def test_it_stays_within_its_bound() -> None:
    made: list[int] = []

    def items() -> Generator[int]:
        for number in range(100):
            made.append(number)
            yield number

    for taken, _ in enumerate(read_ahead(items(), max_waiting=4)):
        # The taken ones, those waiting, and the one being made.
        assert len(made) <= taken + 1 + 4 + 1


def test_stopping_early_closes_the_source_and_ends_the_thread() -> None:
    closed: list[bool] = []

    def items() -> Generator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.append(True)

    with closing(read_ahead(items(), max_waiting=2)) as numbers:
        assert next(numbers) == 0
    assert closed == [True]
    assert _threads() == []

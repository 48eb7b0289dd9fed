"""Workers: every item is answered for, whatever its worker comes to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from db.errors import UndecidedError
from ingest.errors import MediaError
from ingest.workers import Crashed, Crew, Done, worked

_CHECKOUT = Path(__file__).resolve().parents[2]
_deaths: Path | None = None


def prepare(deaths: Path | None = None) -> None:
    global _deaths  # noqa: PLW0603 - a worker keeps what it prepared.
    _deaths = deaths


def cannot_prepare() -> None:
    raise UndecidedError("the weights are missing")


def dies_early() -> None:
    os._exit(3)


def square(number: int) -> int:
    if number < 0:
        raise MediaError(f"{number} is negative", code="media.negative")
    return number * number


def square_or_die(number: int) -> int:
    """Die over 3 always, over 4 only the first time."""
    assert _deaths is not None
    if number == 3 or (number == 4 and not (_deaths / "4").exists()):
        (_deaths / str(number)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def told(number: int) -> str:
    return f"{number} {os.environ['OMP_NUM_THREADS']}"


def _worked(items: Iterable[int], num_workers: int) -> Iterator[int]:
    return worked(square, items, num_workers=num_workers, prepare=prepare, arguments=())


def _crew(deaths: Path) -> Crew[int, int]:
    return Crew(square_or_die, num_workers=2, prepare=prepare, arguments=(deaths,))


def test_one_worker_is_this_process_and_keeps_the_order() -> None:
    assert list(_worked([3, 1, 2], 1)) == [9, 1, 4]
    assert multiprocessing.active_children() == []


def test_several_workers_answer_for_every_item_and_are_gone() -> None:
    assert sorted(_worked(range(9), 2)) == [number * number for number in range(9)]
    assert multiprocessing.active_children() == []


def test_nothing_to_do_starts_nobody() -> None:
    assert list(_worked([], 2)) == []


def test_only_a_few_items_are_under_way() -> None:
    numbers = iter(range(100))
    results = _worked(numbers, 2)
    next(results)
    assert next(numbers) == 5
    results.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_an_error_in_a_worker_is_raised_here() -> None:
    """It could not be unpickled once, which ended the pool with a message about that."""
    with pytest.raises(MediaError, match="-1 is negative") as raised:
        list(_worked([1, -1, 2], 2))
    assert raised.value.code
    assert multiprocessing.active_children() == []


def test_a_worker_has_one_core() -> None:
    with Crew(told, num_workers=2, prepare=prepare, arguments=()) as crew:
        crew.give(1)
        assert crew.outcome() == Done(1, "1 1")


def test_what_a_worker_dies_over_is_tried_once_more_alone(tmp_path: Path) -> None:
    with _crew(tmp_path) as crew:
        for number in range(1, 5):
            crew.give(number)
        assert crew.is_full
        outcomes = [crew.outcome() for _ in range(4)]
        assert crew.num_under_way == 0
        crew.give(5)
        assert crew.outcome() == Done(5, 25)
    assert Crashed(3, "signal SIGKILL") in outcomes
    assert {outcome.item: outcome.result for outcome in outcomes if isinstance(outcome, Done)} == {
        1: 1,
        2: 4,
        4: 16,
    }


def test_work_that_kills_workers_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(UndecidedError, match="died twice"):
        list(worked(square_or_die, [3], num_workers=2, prepare=prepare, arguments=(tmp_path,)))


def test_a_worker_that_cannot_begin_is_no_fault_of_the_items() -> None:
    with pytest.raises(UndecidedError, match="weights are missing"):
        list(worked(square, [1], num_workers=2, prepare=cannot_prepare, arguments=()))
    with pytest.raises(UndecidedError, match=r"before it began \(exit code 3\)"):
        list(worked(square, [1], num_workers=2, prepare=dies_early, arguments=()))


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_killed_parent_leaves_no_worker_behind() -> None:
    """Workers that wait for the end of an item that never ends held their memory for good."""
    code = (
        "import os, signal, time\n"
        "from ingest.workers import Crew\n"
        "crew = Crew(time.sleep, num_workers=1, prepare=int, arguments=())\n"
        "crew.give(3600)\n"
        "while not crew._workers[0].is_prepared:\n"
        "    crew.is_known()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Its output ends when the last process that holds it does: with a worker left this would run out of time.
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=_CHECKOUT, capture_output=True, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

"""Parts by threads: in order, whatever they are part of, and in a copy of the process too."""

from __future__ import annotations

import os
import threading
import time

import pytest

from implicitloss.numerics import threads
from implicitloss.numerics.threads import in_order


def test_parts_come_in_order_and_by_other_threads() -> None:
    names = set()

    def slower_first(part: int) -> int:
        time.sleep(0.02 if part == 0 else 0.0)
        names.add(threading.current_thread().name)
        return part

    assert [*in_order(slower_first, range(9))] == list(range(9))
    assert threading.current_thread().name not in names


def test_parts_of_parts_do_not_wait_for_each_other() -> None:
    """With one thread a part that waited for parts of its own would wait for ever."""

    def inner(part: int) -> int:
        return sum(in_order(lambda k: part * k, range(4)))

    n = 4 * (os.cpu_count() or 1)
    assert [*in_order(inner, range(n))] == [6 * part for part in range(n)]


def test_an_error_is_that_of_its_part_and_the_threads_go_on() -> None:
    def broken(part: int) -> float:
        return 1 / (part - 1)

    with pytest.raises(ZeroDivisionError):
        list(in_order(broken, range(5)))
    assert [*in_order(str, range(3))] == ["0", "1", "2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no copies of processes on Windows")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_copy_of_the_process_has_threads_of_its_own() -> None:
    assert [*in_order(str, range(2))] == ["0", "1"]
    child = os.fork()
    if not child:
        os._exit(0 if [*in_order(str, range(2))] == ["0", "1"] else 1)
    until = time.monotonic() + 30
    done = 0
    while not done and time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if not done:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done, "the copy waits for threads that it does not have"
    assert os.waitstatus_to_exitcode(status) == 0


def test_threads_stay() -> None:
    assert threads._threads() is threads._threads()

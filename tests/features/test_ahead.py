"""Items made ahead are the same items, and the same errors."""

import threading
from collections.abc import Iterator

import pytest

from features.ahead import ahead


def test_the_items_come_in_order_and_are_made_elsewhere():
    makers = []

    def items() -> Iterator[int]:
        for number in range(5):
            makers.append(threading.get_ident())
            yield number

    assert list(ahead(items())) == [0, 1, 2, 3, 4]
    assert threading.get_ident() not in makers
    assert list(ahead(iter([]))) == []


def test_no_more_than_one_is_made_ahead():
    made = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    coming = ahead(items())
    assert next(coming) == 0
    assert second.wait(10)
    coming.close()
    assert made == [0, 1]


def test_an_error_comes_after_the_items_before_it():
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the source broke off")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(OSError, match="broke off"):
        next(coming)

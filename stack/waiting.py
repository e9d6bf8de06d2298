"""Waiting for something to become true."""

import time
from collections.abc import Callable


def wait_until(is_true: Callable[[], bool], *, timeout_s: float, every_s: float = 0.5) -> bool:
    """Ask again and again until it is true, or the time is over."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(every_s)
    return is_true()

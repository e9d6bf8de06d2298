"""Open connections to hand out: as many as are used at once, none shared between threads."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


class Connections(Generic[C]):
    """A stack of idle connections of this process; one that failed is closed, never reused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[C] = []
        self._age = 0
        self._process = os.getpid()

    @contextlib.contextmanager
    def one(self, connect: Callable[[], C]) -> Iterator[C]:
        """A connection for the block: an idle one, or a new one."""
        connection, age = self._take()
        connection = connection or connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            is_current = age == self._age
            if is_current:
                self._idle.append(connection)
        if not is_current:
            connection.close()

    def close(self) -> None:
        """Close the idle ones now, and those in use when they come back."""
        with self._lock:
            self._age += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __del__(self) -> None:
        if self._process == os.getpid():
            self.close()

    def _take(self) -> tuple[C | None, int]:
        with self._lock:
            if self._process != os.getpid():
                # A forked child must not touch its parent's connections, not even to close them.
                self._process, self._idle = os.getpid(), []
            return (self._idle.pop() if self._idle else None), self._age

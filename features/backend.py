"""What a kind of server does for the packed stores: it moves bytes, and knows no feature."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from feast import RepoConfig

from features.packing import Chunk
from features.records import Held


class Backend(ABC):
    """One kind of server. A table is one view's; keys and records are opaque."""

    @abstractmethod
    def fetch(self, config: RepoConfig, table: str, keys: Sequence[bytes]) -> Held:
        """The rows of these keys and the stamp, as of one moment."""

    @abstractmethod
    def put(self, config: RepoConfig, table: str, chunks: Iterator[Chunk]) -> int:
        """Write each chunk's rows unless newer ones are held; returns how many rows came."""

    @abstractmethod
    def drop(self, config: RepoConfig, table: str, keys: Sequence[bytes] | None) -> None:
        """Remove these keys; None: the whole table."""

    @abstractmethod
    def create(self, config: RepoConfig, table: str) -> bool:
        """Make room for a table; False if it is there already."""

    @abstractmethod
    def events(self, config: RepoConfig, table: str) -> Iterator[tuple[list[bytes], list[int]]]:
        """All keys held and their event times, a few thousand at a time."""

    @abstractmethod
    def is_empty(self, config: RepoConfig, table: str) -> bool:
        """Whether a table is known to hold nothing; False where only a walk could tell."""

    @abstractmethod
    def note(self, config: RepoConfig, name: str, text: str | None = None) -> str | None:
        """Read a short text kept in the store; with ``text``, write it first."""

"""The retrieval sources a run is made of, by name and in the order of their features."""

from typing import Final, cast

from models.retrieval import RETRIEVERS, Retriever

SOURCES: Final = ("popularity", "personal", "als", "sequence")


def source_class(name: str) -> type[Retriever]:
    """The class registered under ``name``."""
    return cast("type[Retriever]", RETRIEVERS[name])

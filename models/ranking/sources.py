"""The retrieval sources a run is made of, by name and in the order of their features."""

from typing import Final

SOURCES: Final = ("popularity", "personal", "counted", "als", "sequence")

"""The retrieval sources a run is made of where its preset names no others, in feature order."""

from typing import Final

SOURCES: Final = ("popularity", "personal", "counted", "als", "sequence")

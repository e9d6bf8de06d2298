"""The days that must be rebuilt, as ingest leaves them to the build: see ``domain.dirty``."""

from domain.dirty import clear, days, mark

__all__ = ["clear", "days", "mark"]

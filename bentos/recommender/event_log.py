"""What was shown and done, appended to the shop's own log; the next ingest brings it back.

One JSON object a line with exactly ``LANDED_EVENTS``' columns, in ``event_date=D/<worker>.jsonl``.
A batch is one write to a file opened for appending, so lines of several processes never mix. A log
that cannot be written costs events, never an answer: the caller is told how many were logged.
"""

import fcntl
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from bentos.recommender.schemas import Answer, EventIn
from domain.events import EventType
from domain.schemas import LANDED_EVENTS

logger = logging.getLogger(__name__)

Row = dict[str, object]


class EventLog:
    """Appends to ``folder``; None logs nothing (a service without a place of its own)."""

    def __init__(self, folder: Path | None, *, worker: str) -> None:
        self._folder = folder
        self._worker = worker

    def write(self, rows: Sequence[Row]) -> int:
        """Append rows to their days' files; returns how many are on disk."""
        if self._folder is None:
            return 0
        days: dict[str, list[Row]] = {}
        for row in rows:
            days.setdefault(str(row["event_timestamp"])[:10], []).append(row)
        logged = 0
        for day, of_day in days.items():
            try:
                self._append(self._folder / f"event_date={day}", of_day)
                logged += len(of_day)
            except OSError as error:
                logger.warning("%d events of %s were not logged: %s", len(of_day), day, error)
        return logged

    def _append(self, folder: Path, rows: Sequence[Row]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path = folder / f"{self._worker}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # Freed when it is closed, or by a kill.
            _append_whole(descriptor, lines.encode())
        finally:
            os.close(descriptor)


def _append_whole(descriptor: int, content: bytes) -> None:
    """Append all of it or nothing: a cut line would swallow the next one, or be counted as logged.

    Raises:
        OSError: If there is no room for all of it; then the file is as it was.
    """
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        content = b"\n" + content  # Somebody before us died in the middle of a line.
    taken = os.write(descriptor, content)
    if taken != len(content):
        os.ftruncate(descriptor, size)
        raise OSError(f"{taken} of {len(content)} bytes found room; is the disk full?")


def impressions(answer: Answer, *, session_id: str | None) -> list[Row]:
    """An impression for each shown item; none without a user to have seen them."""
    if answer.user_id is None:
        return []
    return [
        _row(
            event_id=f"{answer.request_id}-{shown.position}",
            event_type=EventType.IMPRESSION,
            event_timestamp=answer.now,
            user_id=answer.user_id,
            item_id=shown.item_id,
            session_id=session_id,
            request_id=answer.request_id,
            surface=answer.surface,
            position=shown.position,
            propensity=shown.propensity,
        )
        for shown in answer.items
    ]


def search_event(answer: Answer, *, query_text: str, session_id: str | None) -> list[Row]:
    """The search itself, before its impressions; none without a user."""
    if answer.user_id is None:
        return []
    return [
        _row(
            event_id=f"{answer.request_id}-search",
            event_type=EventType.SEARCH,
            event_timestamp=answer.now,
            user_id=answer.user_id,
            session_id=session_id,
            request_id=answer.request_id,
            surface=answer.surface,
            query_text=query_text,
        )
    ]


def posted(events: Sequence[EventIn], *, now: datetime) -> list[Row]:
    """What a page reported, at the shop's now, a microsecond apart so that their order is kept."""
    return [
        _row(
            **{
                **event.model_dump(),
                "event_id": event.event_id or uuid4().hex,
                "event_timestamp": now + timedelta(microseconds=at),
            }
        )
        for at, event in enumerate(events)
    ]


def _row(**values: object) -> Row:
    row: Row = dict.fromkeys(LANDED_EVENTS.names)
    row.update(values)
    moment = values["event_timestamp"]
    if not isinstance(moment, datetime):
        raise TypeError(f"event_timestamp must be a datetime, got {moment!r}")
    row["event_timestamp"] = moment.isoformat(timespec="microseconds")
    return row

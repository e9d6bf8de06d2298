"""The feature store as the pipeline sees it: item features in memory, user features in time.

A store that is down must cost a request its budget once, not every time: after a failure the store
is left alone for a moment and requests are answered without it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from bentos.recommender.ports import Reader
from domain.errors import FeatureSchemaError
from domain.schemas import ITEM_FEATURE_TYPES, USER_FEATURE_TYPES, USER_HISTORY_TYPES
from domain.stamp import StoreStamp, require_same_features

logger = logging.getLogger(__name__)

READ_BUDGET_S: Final = 0.5
"""Where nobody says otherwise; a service says ``VITRINE_ONLINE_TIMEOUT_S``."""

PAUSE_S: Final = 3.0
REFRESH_S: Final = 5.0


class StoreDownError(Exception):
    """The store did not answer in time; the message says why. Never leaves this room."""


@dataclass(frozen=True)
class Snapshot:
    """Item features of one version of the store. ``stamp`` is None before the first was read."""

    stamp: StoreStamp | None
    item_features: pa.Table


class FeatureMemory:
    """Item features held as one table, refreshed by version; user features read per request."""

    def __init__(
        self,
        connect: Callable[[], Reader],
        *,
        wanted: Mapping[str, Mapping[str, str]],
        item_ids: Sequence[str],
        budget_s: float = READ_BUDGET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._reader: Reader | None = None
        self._connecting = threading.Lock()
        self._wanted = wanted
        self._item_ids = list(item_ids)
        self._budget_s = budget_s
        self._clock = clock
        self._down_until = 0.0
        self._down_reason = ""
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="features")
        self._stopped = threading.Event()
        self.snapshot = Snapshot(None, empty_rows("item_id", self._item_ids, ITEM_FEATURE_TYPES))
        self.schema_error: FeatureSchemaError | None = None

    def refresh(self) -> None:
        """Take over the store's newer version, if it has one.

        Raises:
            FeatureSchemaError: If its features are not the release's.
        """
        try:
            stamp = self._connected().stamp()
            require_same_features(self._wanted, stamp.features)
        except FeatureSchemaError as error:
            self.schema_error = error
            raise
        # Not the version alone: a store that was lost and filled again counts from one.
        if self.snapshot.stamp != stamp:
            self.snapshot = Snapshot(stamp, self._connected().items(self._item_ids))
            logger.info("item features: version %d of %s", stamp.version, stamp.event_date)
        self.schema_error = None

    def keep_fresh(self) -> None:
        """Refresh in the background until ``close``; a failure is logged and tried again."""
        threading.Thread(target=self._follow, name="refresh", daemon=True).start()

    def close(self) -> None:
        """Stop refreshing."""
        self._stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def users(self, user_ids: Sequence[str], *, budget_s: float | None = None) -> pa.Table:
        """Read what the store knows of these users.

        Args:
            user_ids: Unknown ones are fine.
            budget_s: How long to wait; default: the memory's own.

        Raises:
            StoreDownError: If it fails, takes longer than the budget, or did so a moment ago.
        """
        if self.schema_error is not None:
            raise StoreDownError(str(self.schema_error))
        if self._clock() < self._down_until:
            raise StoreDownError(self._down_reason)
        limit_s = budget_s or self._budget_s
        reading = self._threads.submit(self._read, list(user_ids))
        try:
            return reading.result(limit_s)
        # Whatever a driver throws, the shop goes on: the reason is logged and answered.
        except Exception as error:
            reading.cancel()
            late = f"no answer within {limit_s} s" if isinstance(error, Late) else str(error)
            self._down_reason = f"the feature store is down: {late or type(error).__name__}"
            self._down_until = self._clock() + PAUSE_S
            logger.warning("%s; not asked again for %s s", self._down_reason, PAUSE_S)
            raise StoreDownError(self._down_reason) from error

    def _read(self, user_ids: list[str]) -> pa.Table:
        return self._connected().users(user_ids)

    def _connected(self) -> Reader:
        """The store, connected to when first needed: it may come up after the service."""
        with self._connecting:
            if self._reader is None:
                self._reader = self._connect()
            return self._reader

    def _follow(self) -> None:
        while not self._stopped.wait(REFRESH_S):
            try:
                self.refresh()
            except Exception as error:
                logger.warning("item features were not refreshed: %s", error)


def empty_users(user_ids: Sequence[str]) -> pa.Table:
    """Rows of users nothing is known of."""
    return empty_rows("user_id", user_ids, {**USER_FEATURE_TYPES, **USER_HISTORY_TYPES})


def empty_rows(key: str, ids: Sequence[str], types: Mapping[str, pa.DataType]) -> pa.Table:
    """A row for each id with nulls in every column of ``types``."""
    nulls = {name: pa.nulls(len(ids), kind) for name, kind in types.items()}
    return pa.table({key: pa.array(ids, pa.string()), **nulls})

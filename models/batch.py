"""What is known about B users at one moment: the only thing a model sees of a user.

Made by one function from Feast's rows, offline (``point_in_time``) and online (``FeatureReader``),
so training and serving cannot differ. No user id reaches a model: an unknown user is an empty row.
"""

# B users, T history length, V catalog, F numeric user features

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from domain.schemas import HISTORY_LENGTH, USER_FEATURE_TYPES
from models.catalog import FIRST_ITEM, UNKNOWN, Catalog

USER_FEATURE_NAMES: Final = tuple(USER_FEATURE_TYPES)


@dataclass(frozen=True)
class UserBatch:
    """B users at their moments.

    Attributes:
        user_ids: Whose rows these are, for logs and answers; models ignore it. Shape [B].
        history_BT: item_index of the last T interactions, oldest → newest, left-padded with 0.
        bought_BV: Decayed purchase weight of each item ever bought; only known items.
        features_BF: ``USER_FEATURE_NAMES`` in order; missing = 0, timestamps as days before now.
        now_B: The moment of each row, UTC.
    """

    user_ids: npt.NDArray[np.object_]
    history_BT: npt.NDArray[np.int32]
    bought_BV: sparse.csr_matrix
    features_BF: npt.NDArray[np.float32]
    now_B: npt.NDArray[np.datetime64]

    def __len__(self) -> int:
        """B."""
        return len(self.user_ids)

    @property
    def now(self) -> datetime:
        """The latest moment in the batch, UTC; serving batches have only one."""
        latest: datetime = self.now_B.max().astype("datetime64[us]").item()
        return latest.replace(tzinfo=UTC)

    def seen_BV(self, weight: float) -> sparse.csr_matrix:
        """``weight`` for each known item of the history, however often it stands there."""
        rows, columns = np.nonzero(self.history_BT >= FIRST_ITEM)
        seen = sparse.csr_matrix(
            (np.ones(len(rows), np.float32), (rows, self.history_BT[rows, columns])),
            shape=self.bought_BV.shape,
        )
        seen.data[:] = weight
        return seen

    def take(self, rows: npt.NDArray[np.int64] | slice) -> "UserBatch":
        """The same batch with these rows only, in this order."""
        return UserBatch(
            self.user_ids[rows],
            self.history_BT[rows],
            self.bought_BV[rows],
            self.features_BF[rows],
            self.now_B[rows],
        )

    @classmethod
    def from_table(
        cls, users: pa.Table, catalog: Catalog, *, now: datetime | None = None
    ) -> "UserBatch":
        """Make a batch of rows with ``user_id`` and the columns of ``USER_HISTORY_TYPES``.

        Args:
            users: One row a user; nulls where the store knows nothing. The columns of
                ``USER_FEATURE_TYPES`` come all or none (then features are 0).
            catalog: Whose ``item_index`` is meant. Items it does not know become 1 in the history
                and are left out of what was bought.
            now: The moment, timezone-aware; None takes each row's ``event_timestamp``.

        Raises:
            ValueError: If only some feature columns are there, or ``now`` has no timezone.
        """
        now_B = _moments(users, now)
        return cls(
            user_ids=users.column("user_id").to_numpy().astype(object),
            history_BT=_history(users, catalog),
            bought_BV=_bought(users, catalog),
            features_BF=_features(users, now_B),
            now_B=now_B,
        )


def _moments(users: pa.Table, now: datetime | None) -> npt.NDArray[np.datetime64]:
    if now is None:
        stamps = users.column("event_timestamp").cast(pa.timestamp("us", tz="UTC"))
        return np.asarray(stamps.to_numpy(), dtype="datetime64[us]")
    if now.tzinfo is None:
        raise ValueError(f"now must be timezone-aware, got {now!r}")
    moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
    return np.full(len(users), moment)


def _flat(
    users: pa.Table, name: str, kind: pa.DataType
) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A list column's elements, with the length of each row's list and the row of each element."""
    column = users.column(name)
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lists = lists.cast(pa.list_(kind))
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    return lists.flatten(), lengths, np.repeat(np.arange(len(users)), lengths)


def _place_in_row(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)


def _history(users: pa.Table, catalog: Catalog) -> npt.NDArray[np.int32]:
    ids, lengths, rows = _flat(users, "history_item_ids", pa.string())
    columns = HISTORY_LENGTH - lengths[rows] + _place_in_row(lengths)
    kept = columns >= 0
    history = np.zeros((len(users), HISTORY_LENGTH), dtype=np.int32)
    history[rows[kept], columns[kept]] = catalog.index_of(ids)[kept]
    return history


def _bought(users: pa.Table, catalog: Catalog) -> sparse.csr_matrix:
    ids, lengths, rows = _flat(users, "bought_item_ids", pa.string())
    weights, weight_lengths, _ = _flat(users, "bought_item_weights", pa.float32())
    if not np.array_equal(lengths, weight_lengths):
        raise ValueError("bought_item_ids and bought_item_weights differ in length")
    indexes = catalog.index_of(ids)
    kept = indexes != UNKNOWN
    values = np.nan_to_num(weights.to_numpy(zero_copy_only=False)).astype(np.float32)
    return sparse.csr_matrix(
        (values[kept], (rows[kept], indexes[kept])),
        shape=(len(users), len(catalog)),
        dtype=np.float32,
    )


def _features(users: pa.Table, now_B: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float32]:
    missing = [name for name in USER_FEATURE_NAMES if name not in users.column_names]
    if len(missing) == len(USER_FEATURE_NAMES):
        return np.zeros((len(users), len(USER_FEATURE_NAMES)), dtype=np.float32)
    if missing:
        raise ValueError(f"user features come all or none; missing: {missing}")
    return numeric_columns(users, USER_FEATURE_NAMES, now_B)


def numeric_columns(
    table: pa.Table, names: Sequence[str], now_B: npt.NDArray[np.datetime64]
) -> npt.NDArray[np.float32]:
    """Columns as float32 [B, F]: missing = 0, timestamps as days before the row's now."""
    columns = np.zeros((len(table), len(names)), dtype=np.float32)
    for at, name in enumerate(names):
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            stamps = column.cast(pa.timestamp("us", tz="UTC")).to_numpy()
            days = (now_B - stamps.astype("datetime64[us]")) / np.timedelta64(1, "D")
            columns[:, at] = np.nan_to_num(days, nan=0.0)
        else:
            numbers = column.cast(pa.float64()).to_numpy()
            columns[:, at] = np.nan_to_num(numbers, nan=0.0)
    return columns

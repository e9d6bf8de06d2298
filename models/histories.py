"""Users at one moment, from examples: what ``user_history`` would have said then.

Retrievers learn from many users and moments at once, which would be a point-in-time join per
moment. This makes the same ``UserBatch`` from ``RETRIEVAL_EXAMPLES`` in numpy, by the same rules
as the dbt model ``user_history`` (``domain.schemas.USER_HISTORY_TYPES``).
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from domain.clock import midnight
from domain.errors import BadInputError
from domain.schemas import BOUGHT_HALF_LIFE_DAYS, BOUGHT_LENGTH, HISTORY_LENGTH
from models.batch import USER_FEATURE_NAMES, UserBatch
from models.catalog import FIRST_ITEM, Catalog


def day_numbers(examples: pa.Table) -> npt.NDArray[np.int64]:
    """Each row's ``event_date`` as days since 1970-01-01."""
    days = examples.column("event_date").cast(pa.date32()).cast(pa.int32())
    return np.asarray(days.to_numpy(), dtype=np.int64)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def days_before(examples: pa.Table, until: date) -> npt.NDArray[np.int64]:
    """How many days before ``until`` each row is: 1 is the last day seen."""
    return day_number(until) - day_numbers(examples)


def require_before(examples: pa.Table, until: date) -> None:
    """Refuse examples on or after the cutoff: they would leak the future.

    Raises:
        BadInputError: If there are any, or no examples at all.
    """
    if len(examples) == 0:
        raise BadInputError(f"no retrieval examples before {until}: nothing to learn from")
    last = pc.max(examples.column("event_date")).as_py()
    if last >= until:
        raise BadInputError(f"retrieval examples reach {last}: expected all before {until}")


def user_batch_at(
    examples: pa.Table,
    catalog: Catalog,
    *,
    until: date,
    user_ids: Sequence[str] | None = None,
    history_length: int = HISTORY_LENGTH,
) -> UserBatch:
    """The users' batch at midnight of ``until``, of the examples before it.

    Args:
        examples: ``RETRIEVAL_EXAMPLES``; rows on or after ``until`` are left out.
        catalog: Whose ``item_index`` is meant.
        until: The first moment not seen.
        user_ids: Which users, in this order; None takes all that have an example, sorted. Users
            without one get an empty row. Features are 0: examples do not hold them.
        history_length: T; the store has ``HISTORY_LENGTH``.
    """
    seen = examples.filter(pc.less(examples.column("event_date"), pa.scalar(until, pa.date32())))
    ids = sorted(pc.unique(seen.column("user_id")).to_pylist()) if user_ids is None else user_ids
    user_of_row = pc.index_in(seen.column("user_id"), value_set=pa.array(ids, pa.string()))
    known = pc.is_valid(user_of_row)
    seen, user_of_row = seen.filter(known), user_of_row.filter(known)
    user = np.asarray(user_of_row.to_numpy(), dtype=np.int64)
    item = catalog.index_of(seen.column("item_id"))
    moment = np.datetime64(midnight(until).replace(tzinfo=None), "us")
    return UserBatch(
        user_ids=np.array(ids, dtype=object),
        history_BT=_last_items(seen, user, item, shape=(len(ids), history_length)),
        bought_BV=_decayed_purchases(seen, user, item, shape=(len(ids), len(catalog))),
        features_BF=np.zeros((len(ids), len(USER_FEATURE_NAMES)), dtype=np.float32),
        now_B=np.full(len(ids), moment),
    )


def order_of_events(examples: pa.Table, user: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows by user, then oldest → newest; item_id breaks ties as in ``user_history``."""
    stamps = examples.column("event_timestamp").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    ids = examples.column("item_id").combine_chunks().dictionary_encode()
    alphabetical = pc.rank(ids.dictionary, tiebreaker="first").to_numpy()
    return np.lexsort((alphabetical[ids.indices.to_numpy()], stamps.to_numpy(), user))


def _last_items(
    examples: pa.Table,
    user: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    *,
    shape: tuple[int, int],
) -> npt.NDArray[np.int32]:
    order = order_of_events(examples, user)
    ends = np.cumsum(np.bincount(user, minlength=shape[0]))
    columns = shape[1] - (ends[user[order]] - np.arange(len(order)))
    kept = columns >= 0
    history = np.zeros(shape, dtype=np.int32)
    history[user[order][kept], columns[kept]] = item[order][kept]
    return history


def _decayed_purchases(
    examples: pa.Table,
    user: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    *,
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Weights count from the user's own last day, as in the store: a row is written that day."""
    day = day_numbers(examples)
    last_day = np.full(shape[0], np.iinfo(np.int64).min)
    np.maximum.at(last_day, user, day)
    is_bought = examples.column("is_purchase").to_numpy(zero_copy_only=False).astype(bool)
    is_bought &= item >= FIRST_ITEM
    weights = 0.5 ** ((last_day[user] - day) / BOUGHT_HALF_LIFE_DAYS)
    bought = sparse.csr_matrix(
        (weights[is_bought].astype(np.float32), (user[is_bought], item[is_bought])), shape=shape
    )
    longest = int(np.diff(bought.indptr).max(initial=0))
    if longest <= BOUGHT_LENGTH:
        return bought
    return _last_bought(bought, user, item, day, is_bought)


def _last_bought(
    bought: sparse.csr_matrix,
    user: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    day: npt.NDArray[np.int64],
    is_bought: npt.NDArray[np.bool_],
) -> sparse.csr_matrix:
    """Keep each user's ``BOUGHT_LENGTH`` last bought items (lowest item_id first on a tie)."""
    pairs = user[is_bought] * bought.shape[1] + item[is_bought]
    unique, at = np.unique(pairs, return_inverse=True)
    last = np.full(len(unique), np.iinfo(np.int64).min)
    np.maximum.at(last, at, day[is_bought])
    row = unique // bought.shape[1]
    order = np.lexsort((unique, -last, row))
    place = np.arange(len(order)) - np.searchsorted(row[order], row[order])
    kept = unique[order][place < BOUGHT_LENGTH]
    mask = sparse.csr_matrix(
        (np.ones(len(kept), np.float32), (kept // bought.shape[1], kept % bought.shape[1])),
        shape=bought.shape,
    )
    kept_BV: sparse.csr_matrix = bought.multiply(mask).tocsr()
    return kept_BV

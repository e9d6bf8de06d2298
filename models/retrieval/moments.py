"""Training rows of the sequence model: users at past moments, and what they did next.

A row is a user at the end of a day with interactions, exactly as the store would have held them,
and its targets are everything in the following weeks. Source: the dense all-action loss of
PinnerFormer (https://arxiv.org/abs/2205.04507); what differs: rows are moments as at serving rather
than every position, for within one order the sequence of items says nothing; and each epoch draws
a few moments of every user, recent ones more often, so that a wholesaler does not outweigh others.
"""

# R moments, B rows of a batch, T history length, V catalog, N events

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from domain.schemas import BOUGHT_HALF_LIFE_DAYS, HISTORY_LENGTH
from models.catalog import Catalog
from models.histories import day_number, day_numbers, order_of_events
from models.retrieval.config import SequenceConfig
from models.rows import TensorRows

Ints = npt.NDArray[np.int64]
_PRIOR_FLOOR = 1e-6


@dataclass(frozen=True)
class MomentBatch(TensorRows):
    """B training rows; the fields are the network's inputs and the wanted weights."""

    history_BT: Tensor
    bought_BV: Tensor
    prior_BKV: Tensor
    wanted_BV: Tensor


@dataclass(frozen=True)
class Events:
    """All interactions by user, oldest → newest. Each array has shape [N]."""

    user: Ints
    item: Ints
    day: Ints
    weight: npt.NDArray[np.float32]
    is_purchase: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, examples: pa.Table, catalog: Catalog) -> "Events":
        """Sort ``RETRIEVAL_EXAMPLES``."""
        user = examples.column("user_id").combine_chunks().dictionary_encode().indices.to_numpy()
        order = order_of_events(examples, user.astype(np.int64))
        bought = examples.column("is_purchase").to_numpy()
        return cls(
            user=user.astype(np.int64)[order],
            item=catalog.index_of(examples.column("item_id")).astype(np.int64)[order],
            day=day_numbers(examples)[order],
            weight=examples.column("weight").to_numpy().astype(np.float32)[order],
            is_purchase=bought.astype(bool)[order],
        )


class Moments:
    """The moments of all users, drawn anew each epoch: a ``models.loop.Batches``."""

    def __init__(
        self,
        events: Events,
        *,
        until: date,
        catalog_size: int,
        config: SequenceConfig,
        device: torch.device,
    ) -> None:
        self._events, self._config, self._device = events, config, device
        self._catalog_size = catalog_size
        self.priors = Priors(events, until=until, catalog_size=catalog_size, config=config)
        self._find_moments(day_number(until))

    def _find_moments(self, until_day: int) -> None:
        """One moment after each user-day, and one before the first; only with something after."""
        events = self._events
        count = len(events.user)
        is_last = np.ones(count, dtype=bool)
        is_last[:-1] = (events.user[1:] != events.user[:-1]) | (events.day[1:] != events.day[:-1])
        is_first = np.ones(count, dtype=bool)
        is_first[1:] = events.user[1:] != events.user[:-1]
        starts = np.flatnonzero(is_first)
        ends = np.concatenate([np.flatnonzero(is_last) + 1, starts])
        near = np.concatenate([np.flatnonzero(is_last), starts])
        days = events.day[near] - np.concatenate([np.zeros(is_last.sum()), np.ones(len(starts))])
        # One number that grows with (user, day), so that one binary search finds a row's window.
        span = int(until_day - events.day.min() + self._config.target_days + 2)
        key = events.user * span + (events.day - events.day.min() + 1)
        wanted = events.user[near] * span + (days - events.day.min() + 1) + self._config.target_days
        stops = np.searchsorted(
            key, np.minimum(wanted, events.user[near] * span + span - 1), "right"
        )
        kept = stops > ends
        self._user = events.user[near][kept]
        self._begin = np.searchsorted(events.user, self._user)
        self._end, self._stop = ends[kept], stops[kept]
        self._day = days[kept].astype(np.int64)
        age = (until_day - self._day) / self._config.moment_half_life_days
        self._share = 0.5**age

    @cached_property
    def row_count(self) -> int:
        """Rows in one epoch: a few of each user's moments."""
        counts = np.bincount(self._user)
        return int(np.minimum(counts, self._config.moments_per_user).sum())

    def __len__(self) -> int:
        """Batches in one epoch."""
        return max(1, math.ceil(self.row_count / self._config.batch_rows))

    def epoch(self, number: int) -> Iterator[MomentBatch]:
        """Draw moments without replacement and batch them by history length."""
        generator = np.random.default_rng([self._config.seed, number])
        rows = self._draw(generator)
        length = np.minimum(self._end[rows] - self._begin[rows], HISTORY_LENGTH)
        # Rows of like length share a batch; the noise keeps batches from being the same each time.
        rows = rows[np.argsort(length + generator.uniform(0, 4, len(rows)), kind="stable")]
        batches = np.array_split(rows, len(self))
        for at in generator.permutation(len(batches)):
            yield self.batch(batches[at])

    def _draw(self, generator: np.random.Generator) -> Ints:
        """Gumbel top-k within each user: weighted sampling without replacement."""
        keys = np.log(self._share) + generator.gumbel(size=len(self._share))
        order = np.lexsort((-keys, self._user))
        user = self._user[order]
        place = np.arange(len(order)) - np.searchsorted(user, user)
        return np.asarray(order[place < self._config.moments_per_user])

    def batch(self, rows: Ints) -> MomentBatch:
        """The tensors of these moments."""
        events, shape = self._events, (len(rows), self._catalog_size)
        row, at = ragged(self._begin[rows], self._end[rows])
        age = self._day[rows][row] - events.day[at]
        held = events.is_purchase[at] * 0.5 ** (age / BOUGHT_HALF_LIFE_DAYS)
        row_after, after = ragged(self._end[rows], self._stop[rows])
        return MomentBatch(
            history_BT=torch.from_numpy(self._history(rows)).to(self._device),
            bought_BV=self._dense(row, events.item[at], held, shape),
            prior_BKV=torch.from_numpy(self.priors.at(self._day[rows])).to(self._device),
            wanted_BV=self._dense(row_after, events.item[after], events.weight[after], shape),
        )

    def _history(self, rows: Ints) -> Ints:
        at = self._end[rows][:, None] + np.arange(-HISTORY_LENGTH, 0)
        inside = at >= self._begin[rows][:, None]
        return np.where(inside, self._events.item[np.maximum(at, 0)], 0)

    def _dense(
        self, row: Ints, item: Ints, weight: npt.NDArray[np.floating], shape: tuple[int, int]
    ) -> Tensor:
        flat = np.bincount(row * shape[1] + item, weights=weight, minlength=shape[0] * shape[1])
        dense = flat.reshape(shape).astype(np.float32)
        dense[:, :2] = 0.0
        return torch.from_numpy(dense).to(self._device)


class Priors:
    """Log of each item's decayed share of all weight, at the end of every day."""

    def __init__(
        self, events: Events, *, until: date, catalog_size: int, config: SequenceConfig
    ) -> None:
        self._first_day = int(events.day.min()) - 1
        days = day_number(until) - self._first_day
        flat = (events.day - self._first_day) * catalog_size + events.item
        weights = events.weight.astype(np.float64)
        flat_Q = np.bincount(flat, weights=weights, minlength=days * catalog_size)
        daily_QV = np.asarray(flat_Q, dtype=np.float64).reshape(days, catalog_size)
        self._logs_KQV = np.stack(
            [_decayed_log_share(daily_QV, half_life) for half_life in config.prior_half_lives_days]
        )

    def at(self, days: Ints) -> npt.NDArray[np.float32]:
        """What is known at the end of each day (days since 1970): [B, K, V]."""
        at = np.clip(days - self._first_day, 0, self._logs_KQV.shape[1] - 1)
        return np.ascontiguousarray(self._logs_KQV[:, at].transpose(1, 0, 2))


def _decayed_log_share(
    daily_QV: npt.NDArray[np.float64], half_life: float
) -> npt.NDArray[np.float32]:
    keep = 0.5 ** (1.0 / half_life)
    held_V = np.zeros(daily_QV.shape[1])
    logs_QV = np.empty(daily_QV.shape, dtype=np.float32)
    for day, taken_V in enumerate(daily_QV):
        held_V = held_V * keep + taken_V
        # Half a unit of weight for everything: an item without sales is unlikely, not impossible.
        share_V = (held_V + 0.5) / (held_V.sum() + 0.5 * len(held_V))
        logs_QV[day] = np.log(share_V + _PRIOR_FLOOR) + np.log(len(held_V))
    return logs_QV


def ragged(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """All indexes of many ranges: the range each belongs to, and the index.

    Example:
        >>> [part.tolist() for part in ragged(np.array([3, 7]), np.array([5, 8]))]
        [[0, 0, 1], [3, 4, 7]]
    """
    lengths = end - begin
    row = np.repeat(np.arange(len(begin)), lengths)
    place = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row, begin[row] + place

"""Items that go with items: neighbours, EASE and transitions, one sparse matrix each.

They learn nothing by gradient and take seconds, and no neural number means much without theirs
beside it. All three score a user by ``x W``: what the user took, times how much each item speaks
for each other. What differs is ``W``, and what ``x`` counts.

* *Neighbours* (Sarwar et al. 2001, https://doi.org/10.1145/371920.372071): the cosine of two
  items' users, shrunk where few users say so; each item keeps its nearest.
* *EASE* (Steck 2019, https://arxiv.org/abs/1905.03375): the best linear model that may not explain
  an item by itself, in closed form. What differs: purchases count by age, as in the feature store,
  and only the strongest weights of an item are kept, so that a bundle stays small.
* *Transitions*: how often an item came soon after another. What differs from a first-order Markov
  chain: several steps count, each less than the last, and a frequent successor is marked down.
"""

# B users, T history length, V catalog, N interactions

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import linalg, sparse

from domain.errors import BadInputError
from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import FIRST_ITEM, Catalog
from models.histories import order_of_events, require_before, user_batch_at
from models.retrieval.base import FitContext, Scores, hide_non_items
from models.retrieval.config import EaseConfig, NeighboursConfig, TransitionsConfig

Floats = npt.NDArray[np.float32]


def kept_per_column(weights_VV: sparse.csc_matrix, count: int) -> sparse.csr_matrix:
    """Each column's ``count`` largest weights, by magnitude; the rest becomes 0.

    Args:
        weights_VV: How much each row's item speaks for each column's.
        count: How many to keep.
    """
    columns = np.repeat(np.arange(weights_VV.shape[1]), np.diff(weights_VV.indptr))
    order = np.lexsort((weights_VV.indices, -np.abs(weights_VV.data), columns))
    place = np.arange(len(order)) - weights_VV.indptr[columns[order]]
    kept = order[(place < count) & (weights_VV.data[order] != 0)]
    return sparse.csr_matrix(
        (weights_VV.data[kept].astype(np.float32), (weights_VV.indices[kept], columns[kept])),
        shape=weights_VV.shape,
    )


def taken(batch: UserBatch, *, power: float, seen_weight: float) -> sparse.csr_matrix:
    """What each user bought, by ``weight ** power``, and a little of what was only seen: [B, V]."""
    bought: sparse.csr_matrix = batch.bought_BV.tocsr().astype(np.float32)
    bought.data = bought.data**power
    if seen_weight == 0:
        return bought
    either: sparse.csr_matrix = bought.maximum(batch.seen_BV(seen_weight)).tocsr()
    return either


def tensors_of(weights_VV: sparse.csr_matrix) -> dict[str, npt.NDArray[np.generic]]:
    """A sparse matrix as a model folder holds it."""
    return {
        "weights": weights_VV.data.astype(np.float32),
        "columns": weights_VV.indices.astype(np.int32),
        "starts": weights_VV.indptr.astype(np.int64),
    }


def matrix_of(tensors: Mapping[str, npt.NDArray[np.generic]]) -> sparse.csr_matrix:
    """Read what ``tensors_of`` gave."""
    parts = [tensors[name] for name in ("weights", "columns", "starts")]
    size = len(parts[2]) - 1
    return sparse.csr_matrix(tuple(parts), shape=(size, size))


class _ItemItem:
    """``x W`` with a sparse ``W``; an item that nothing speaks for has no opinion."""

    name: ClassVar[str]
    config_class: ClassVar[type]

    def __init__(self, weights_VV: sparse.csr_matrix, config: Any) -> None:
        self.weights_VV = weights_VV
        self.config = config

    def _taken(self, batch: UserBatch) -> sparse.csr_matrix:
        return _known(batch, self.config)

    def scores(self, batch: UserBatch) -> Scores:
        """Score every item; shape [B, V]."""
        linked_BV = (self._taken(batch) @ self.weights_VV).tocsr()
        scores_BV = np.full(linked_BV.shape, -np.inf, dtype=np.float32)
        rows = np.repeat(np.arange(linked_BV.shape[0]), np.diff(linked_BV.indptr))
        scores_BV[rows, linked_BV.indices] = linked_BV.data
        return hide_non_items(scores_BV)

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = tensors_of(self.weights_VV)
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        return cls(matrix_of(artifact.tensors), cls.config_class(**artifact.config))


class NeighboursRetriever(_ItemItem):
    """Cosine of items over their users."""

    name: ClassVar[str] = "neighbours"
    config_class = NeighboursConfig

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: NeighboursConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Compare all items that share a user; exact and deterministic."""
        require_before(examples, until)
        users_BV = _known(user_batch_at(examples, catalog, until=until), config)
        norms_V = np.sqrt(np.asarray(users_BV.multiply(users_BV).sum(axis=0)).ravel())
        scale = sparse.diags_array(1.0 / np.maximum(norms_V, 1e-12))
        cosine_VV = (scale @ (users_BV.T @ users_BV) @ scale).tocsc()
        together = (users_BV > 0).astype(np.float32)
        counts_VV = (together.T @ together).tocsc()
        counts_VV.data = counts_VV.data / (counts_VV.data + config.shrinkage)
        cosine_VV = cosine_VV.multiply(counts_VV).tocsc()
        cosine_VV.setdiag(0.0)
        return cls(kept_per_column(cosine_VV, config.neighbours), config)


class EaseRetriever(_ItemItem):
    """The closed-form linear autoencoder without a diagonal."""

    name: ClassVar[str] = "ease"
    config_class = EaseConfig

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: EaseConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Invert one V × V matrix: seconds at 5,000 items, minutes and 2 GB at 15,000.

        Raises:
            BadInputError: If the catalog has more than ``config.most_items`` items that were taken.
        """
        require_before(examples, until)
        users_BV = _known(user_batch_at(examples, catalog, until=until), config)
        items = np.flatnonzero(users_BV.getnnz(axis=0))  # What nobody took has no row to solve for.
        if len(items) > config.most_items:
            raise BadInputError(
                f"ease inverts a matrix of items × items: {len(items)} items are more than "
                f"most_items={config.most_items}; raise it if memory allows, or leave ease out"
            )
        taken_BI = users_BV[:, items]
        gram_II = (taken_BI.T @ taken_BI).toarray().astype(np.float64)
        gram_II[np.diag_indices(len(items))] += config.regularization
        inverse_II = linalg.inv(gram_II, overwrite_a=True, check_finite=False)
        weights_II = -inverse_II / np.diag(inverse_II)
        np.fill_diagonal(weights_II, 0.0)
        small_II = kept_per_column(_strongest(weights_II, config.kept), config.kept).tocoo()
        weights_VV = sparse.csr_matrix(
            (small_II.data, (items[small_II.row], items[small_II.col])), shape=(len(catalog),) * 2
        )
        return cls(weights_VV, config)


class TransitionsRetriever(_ItemItem):
    """What came soon after what."""

    name: ClassVar[str] = "transitions"
    config_class = TransitionsConfig

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: TransitionsConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Count pairs of one user's interactions up to ``config.distance`` steps apart."""
        require_before(examples, until)
        user, item = _in_order(examples, catalog)
        counts_VV = sparse.csc_matrix((len(catalog),) * 2, dtype=np.float32)
        for step in range(1, config.distance + 1):
            is_same = user[step:] == user[:-step]
            before, after = item[:-step][is_same], item[step:][is_same]
            weights = np.full(len(before), config.decay ** (step - 1), dtype=np.float32)
            counts_VV += sparse.csc_matrix((weights, (before, after)), shape=counts_VV.shape)
        counts_VV.setdiag(0.0)
        arrivals_V = np.maximum(np.asarray(counts_VV.sum(axis=0)).ravel(), 1e-12)
        marked_down = sparse.diags_array(arrivals_V**-config.normalization)
        return cls(kept_per_column((counts_VV @ marked_down).tocsc(), config.kept), config)

    def _taken(self, batch: UserBatch) -> sparse.csr_matrix:
        """The last interactions, each weighing less than the one after it."""
        length = min(batch.history_BT.shape[1], self.config.history_length)
        last_BT = batch.history_BT[:, -length:]
        rows, columns = np.nonzero(last_BT >= FIRST_ITEM)
        weights = np.float32(self.config.history_decay) ** (length - 1 - columns)
        return sparse.csr_matrix(
            (weights.astype(np.float32), (rows, last_BT[rows, columns])),
            shape=batch.bought_BV.shape,
        )


def _known(batch: UserBatch, config: NeighboursConfig | EaseConfig) -> sparse.csr_matrix:
    return taken(batch, power=config.power, seen_weight=config.seen_weight)


def _strongest(weights_II: npt.NDArray[np.float64], count: int) -> sparse.csc_matrix:
    """Each column's strongest weights of a dense matrix, without a sparse copy of it all."""
    count = min(count, len(weights_II))
    rows_KI = np.argpartition(-np.abs(weights_II), count - 1, axis=0)[:count]
    values_KI = np.take_along_axis(weights_II, rows_KI, axis=0)
    columns_KI = np.broadcast_to(np.arange(weights_II.shape[1]), rows_KI.shape)
    return sparse.csc_matrix(
        (values_KI.ravel(), (rows_KI.ravel(), columns_KI.ravel())), shape=weights_II.shape
    )


def _in_order(
    examples: pa.Table, catalog: Catalog
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """User and item of each interaction with a known item, by user, oldest → newest: [N], [N]."""
    codes = examples.column("user_id").combine_chunks().dictionary_encode().indices.to_numpy()
    user = codes.astype(np.int64)
    order = order_of_events(examples, user)
    item = catalog.index_of(examples.column("item_id")).astype(np.int64)[order]
    is_known = item >= FIRST_ITEM
    return user[order][is_known], item[is_known]

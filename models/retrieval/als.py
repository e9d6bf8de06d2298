"""Matrix factorisation by ALS: ``implicit`` learns the item factors, we fold the users in.

Source: Hu, Koren, Volinsky 2008; https://github.com/benfred/implicit. What differs: user factors
are thrown away. At serving a user is solved for from what they bought and saw, with the same
normal equations as ``recalculate_user``, so new users and new purchases count at once, and no
weight belongs to a person. ``implicit`` is needed to fit, not to serve.
"""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import Catalog
from models.histories import require_before, user_batch_at
from models.retrieval.base import FitContext, Scores, hide_non_items
from models.retrieval.config import AlsConfig


def confidences(batch: UserBatch, config: AlsConfig) -> sparse.csr_matrix:
    """``1 + alpha × weight ** power`` of what was bought, and of a little for what was only seen.

    The paper's C. Weights decay towards 0, and a confidence below the 1 of everything never seen
    would say that having bought it long ago speaks against it.
    """
    seen_BV = batch.seen_BV(config.seen_weight)
    either: sparse.csr_matrix = batch.bought_BV.maximum(seen_BV).tocsr().astype(np.float32)
    either.data = 1.0 + np.float32(config.alpha) * either.data**config.power
    return either


def fold_in(
    confidences_BV: sparse.csr_matrix,
    factors_VD: npt.NDArray[np.float32],
    *,
    regularization: float,
) -> npt.NDArray[np.float32]:
    """User factors [B, D] that minimise the ALS objective for fixed item factors.

    Solves ``(YᵀY + Yᵀ(C − I)Y + λI) x = YᵀC1`` with C from ``confidences``, as ``implicit`` does
    in ``recalculate_user``. Users with nothing get zeros.
    """
    width = factors_VD.shape[1]
    base_DD = factors_VD.T @ factors_VD + regularization * np.eye(width, dtype=np.float32)
    users_BD = np.zeros((confidences_BV.shape[0], width), dtype=np.float32)
    for row in np.flatnonzero(np.diff(confidences_BV.indptr)):
        span = slice(confidences_BV.indptr[row], confidences_BV.indptr[row + 1])
        confidence = confidences_BV.data[span]
        taken_ND = factors_VD[confidences_BV.indices[span]]
        system_DD = base_DD + (taken_ND.T * (confidence - 1.0)) @ taken_ND
        users_BD[row] = np.linalg.solve(system_DD, taken_ND.T @ confidence)
    return users_BD


class AlsRetriever:
    """Item factors; a user is solved for at request time."""

    name: ClassVar[str] = "als"

    def __init__(self, factors_VD: npt.NDArray[np.float32], config: AlsConfig) -> None:
        self.factors_VD = factors_VD
        self.config = config

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: AlsConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Factorise the users × items preferences at ``until``; deterministic for one seed."""
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        require_before(examples, until)
        progress = (context or FitContext()).progress
        users = user_batch_at(examples, catalog, until=until)

        def tell(iteration: int, seconds: float, _loss: float | None) -> None:
            left = seconds * (config.iterations - iteration - 1)
            progress(
                "als",
                f"iteration {iteration + 1}/{config.iterations}, {left:.0f} s left",
                done=iteration + 1,
                total=config.iterations,
            )

        wanted = confidences(users, config)
        # implicit brings its own threads; BLAS threads beside them only fight for the cores.
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=config.factors,
                regularization=config.regularization,
                iterations=config.iterations,
                num_threads=config.threads,
                random_state=config.seed,
            )
            model.fit(wanted, show_progress=False, callback=tell)
        return cls(np.asarray(model.item_factors, dtype=np.float32), config)

    def scores(self, batch: UserBatch) -> Scores:
        """Solve for each user, then one product; rows without anything known are ``-inf``."""
        wanted = confidences(batch, self.config)
        users_BD = fold_in(wanted, self.factors_VD, regularization=self.config.regularization)
        scores_BV = users_BD @ self.factors_VD.T
        scores_BV[np.diff(wanted.indptr) == 0] = -np.inf
        return hide_non_items(scores_BV)

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {"factors_VD": self.factors_VD}
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        config = AlsConfig(**artifact.config)  # type: ignore[arg-type]
        return cls(artifact.tensors["factors_VD"].astype(np.float32), config)

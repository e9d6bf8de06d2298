"""Matrix factorisation of how much users took of items, over the cells that were seen alone.

Source: Koren, Bell and Volinsky 2009 (https://doi.org/10.1109/MC.2009.263), fitted by alternating
least squares with a ridge that grows with a row's cells (Zhou et al. 2008,
https://doi.org/10.1007/978-3-540-68880-8_32). What differs: a user's factors are not kept but
solved for at request time from what the user took, as in ``als``. It is the textbook's loss: a cell
that was not seen says nothing. Purchases say little by how much and nearly all by whether, so that
``als``, where the unseen count a little, is the one for a shop; this one is for ratings.
"""

# B users, V catalog, D factors, N cells of a row

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
from models.retrieval.config import FactorisationConfig

Floats = npt.NDArray[np.float64]


def solved(
    cells_NM: sparse.csr_matrix, factors_MD: Floats, bias_M: Floats, *, ridge: float
) -> tuple[Floats, Floats]:
    """Factors and bias of each row that minimise its squared error over its cells, with a ridge.

    Args:
        cells_NM: Values less the mean of all; a cell that is not stored was not seen.
        factors_MD: The other side's factors.
        bias_M: The other side's bias.
        ridge: Times a row's number of cells.

    Returns:
        Factors [N, D] and bias [N]; zeros for a row without cells.
    """
    width = factors_MD.shape[1]
    known_ME = np.concatenate([factors_MD, np.ones((len(factors_MD), 1))], axis=1)
    solved_NE = np.zeros((cells_NM.shape[0], width + 1))
    for row in np.flatnonzero(np.diff(cells_NM.indptr)):
        span = slice(cells_NM.indptr[row], cells_NM.indptr[row + 1])
        columns = cells_NM.indices[span]
        known_CE = known_ME[columns]
        system_EE = known_CE.T @ known_CE + ridge * len(columns) * np.eye(width + 1)
        wanted_C = cells_NM.data[span] - bias_M[columns]
        solved_NE[row] = np.linalg.solve(system_EE, known_CE.T @ wanted_C)
    return solved_NE[:, :width], solved_NE[:, width]


def factorised(
    cells_NM: sparse.csr_matrix, config: FactorisationConfig
) -> tuple[Floats, Floats, Floats, Floats]:
    """Factors and bias of both sides of a matrix less its mean: [N, D], [N], [M, D], [M]."""
    generator = np.random.default_rng(config.seed)
    columns = cells_NM.shape[1]
    factors_MD = generator.normal(0.0, 0.1, (columns, config.factors))
    bias_M = np.zeros(columns)
    other_way = cells_NM.T.tocsr()
    for _ in range(config.iterations):
        factors_ND, bias_N = solved(cells_NM, factors_MD, bias_M, ridge=config.ridge)
        factors_MD, bias_M = solved(other_way, factors_ND, bias_N, ridge=config.ridge)
    factors_ND, bias_N = solved(cells_NM, factors_MD, bias_M, ridge=config.ridge)
    return factors_ND, bias_N, factors_MD, bias_M


class FactorisationRetriever:
    """How much of each item a user would take; a user is solved for at request time."""

    name: ClassVar[str] = "factorisation"

    def __init__(
        self, mean: float, bias_V: Floats, factors_VD: Floats, config: FactorisationConfig
    ) -> None:
        self.mean, self.bias_V, self.factors_VD = mean, bias_V, factors_VD
        self.config = config

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: FactorisationConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Factorise the log of the decayed purchases at ``until``."""
        require_before(examples, until)
        amounts_BV = _amounts(user_batch_at(examples, catalog, until=until))
        mean = float(amounts_BV.data.mean())
        amounts_BV.data -= mean
        _, _, factors_VD, bias_V = factorised(amounts_BV, config)
        return cls(mean, bias_V, factors_VD, config)

    def scores(self, batch: UserBatch) -> Scores:
        """Expected log amounts; shape [B, V]. Who bought nothing gets the items' biases."""
        amounts_BV = _amounts(batch)
        amounts_BV.data -= self.mean
        users_BD, users_B = solved(
            amounts_BV, self.factors_VD, self.bias_V, ridge=self.config.ridge
        )
        expected_BV = users_BD @ self.factors_VD.T + users_B[:, None] + self.bias_V + self.mean
        return hide_non_items(expected_BV.astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {
            "mean": np.array([self.mean]),
            "bias_V": self.bias_V,
            "factors_VD": self.factors_VD,
        }
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        mean, bias_V, factors_VD = (
            artifact.tensors[name].astype(np.float64) for name in ("mean", "bias_V", "factors_VD")
        )
        config = FactorisationConfig(**artifact.config)  # type: ignore[arg-type]
        return cls(float(mean[0]), bias_V, factors_VD, config)


def _amounts(batch: UserBatch) -> sparse.csr_matrix:
    amounts_BV: sparse.csr_matrix = batch.bought_BV.tocsr().astype(np.float64)
    amounts_BV.data = np.log1p(amounts_BV.data)
    return amounts_BV

"""The probability of each next item given what a user took, by Bayes' rule.

P(r | u) = P(u | r) P(r) / P(u): a user is what they took, and the items i of a history speak for
the next item r one by one (naive Bayes), each by P(i | r) / P(i), counted over pairs of one user
and smoothed towards saying nothing. They do not speak independently, so that their sum is weighed
by one learned number, as in Zaidi et al. 2013 (https://jmlr.org/papers/v14/zaidi13a.html); it is
fitted to the likelihood of what users did last, which is what makes the probabilities mean what
they say.

Where a text stops at P(u | r) P(r), it has lost P(u): its numbers order items, but no longer sum to
one over them. Here they do.
"""

# B users, V catalog

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import optimize, sparse, special

from models.artifacts import load_model, save_model
from models.batch import UserBatch
from models.catalog import FIRST_ITEM, Catalog
from models.histories import day_numbers, require_before, user_batch_at
from models.retrieval.base import FitContext, Scores, hide_non_items
from models.retrieval.config import BayesConfig
from models.retrieval.item_item import kept_per_column, taken

Floats = npt.NDArray[np.float64]


class BayesRetriever:
    """log P(r | u): exponents sum to 1 over the items. Who took nothing gets log P(r)."""

    name: ClassVar[str] = "bayes"

    def __init__(
        self,
        prior_V: Floats,
        silence_V: Floats,
        evidence_VV: sparse.csr_matrix,
        strength: float,
        config: BayesConfig,
    ) -> None:
        """Take what ``fit`` counted.

        Args:
            prior_V: log P(r); ``-inf`` for what is no item.
            silence_V: What an item that never went with r says of r: at most 0.
            evidence_VV: What an item (row) that did says beyond that.
            strength: How far the mean of a history's evidence is believed.
            config: What it was fitted with.
        """
        self.prior_V, self.silence_V, self.evidence_VV = prior_V, silence_V, evidence_VV
        self.strength, self.config = strength, config

    @classmethod
    def fit(
        cls,
        examples: pa.Table,
        catalog: Catalog,
        *,
        until: date,
        config: BayesConfig,
        context: FitContext | None = None,
    ) -> Self:
        """Count before each user's last day, believe as far as that day says, then count all."""
        require_before(examples, until)
        before, wanted_BV, users = _last_days(examples, catalog, until=until)
        counted = cls._counted(before, catalog, until=until, config=config)
        strength = _likeliest(counted, users, wanted_BV)
        whole = cls._counted(examples, catalog, until=until, config=config)
        return cls(whole.prior_V, whole.silence_V, whole.evidence_VV, strength, config)

    @classmethod
    def _counted(
        cls, examples: pa.Table, catalog: Catalog, *, until: date, config: BayesConfig
    ) -> Self:
        users = user_batch_at(examples, catalog, until=until)
        took_BV = taken(users, power=1.0, seen_weight=1.0)
        took_BV.data = np.ones_like(took_BV.data, dtype=np.float64)
        count_V = np.asarray(took_BV.sum(axis=0)).ravel()
        is_item_V = np.arange(len(count_V)) >= FIRST_ITEM
        share_V = np.where(is_item_V, count_V + config.unseen, 0.0)
        share_V /= share_V.sum()
        pairs_VV = (took_BV.T @ took_BV).tocsc()
        pairs_VV.setdiag(0)
        pairs_VV.eliminate_zeros()
        of_next_V = np.asarray(pairs_VV.sum(axis=0)).ravel()
        evidence_VV = pairs_VV.copy()
        evidence_VV.data = np.log1p(pairs_VV.data / (config.smoothing * share_V[pairs_VV.indices]))
        silence_V = -np.log1p(of_next_V / config.smoothing)
        # An item never goes with itself; that says nothing, rather than that it will not come.
        kept_VV = kept_per_column(evidence_VV, config.kept) - sparse.diags(silence_V)
        with np.errstate(divide="ignore"):
            return cls(np.log(share_V), silence_V, kept_VV.tocsr(), 1.0, config)

    def scores(self, batch: UserBatch) -> Scores:
        """Log probabilities; shape [B, V]."""
        told_BV = self.prior_V + self.strength * self._evidence(batch)
        return hide_non_items(_normalised(told_BV).astype(np.float32))

    def _evidence(self, batch: UserBatch) -> Floats:
        """The mean of what a history's items say of each next item: [B, V]."""
        took_BV = taken(batch, power=self.config.power, seen_weight=self.config.seen_weight)
        total_B = np.asarray(took_BV.sum(axis=1)).ravel()
        mean_BV = sparse.diags(1.0 / np.maximum(total_B, 1e-9)) @ took_BV
        evidence_BV = np.asarray((mean_BV @ self.evidence_VV).todense())
        return evidence_BV + (total_B > 0)[:, None] * self.silence_V

    def save(self, folder: Path) -> None:
        """Write the model folder."""
        tensors = {
            "prior_V": np.where(np.isfinite(self.prior_V), self.prior_V, -1e9),
            "silence_V": self.silence_V,
            "strength": np.array([self.strength]),
            "weights": self.evidence_VV.data,
            "columns": self.evidence_VV.indices.astype(np.int32),
            "starts": self.evidence_VV.indptr.astype(np.int64),
        }
        save_model(folder, model=self.name, config=asdict(self.config), tensors=tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote."""
        artifact = load_model(folder, model=cls.name)
        told = artifact.tensors
        prior_V = told["prior_V"].astype(np.float64)
        size = len(prior_V)
        evidence_VV = sparse.csr_matrix(
            (told["weights"], told["columns"], told["starts"]), shape=(size, size)
        )
        config = BayesConfig(**artifact.config)  # type: ignore[arg-type]
        prior_V[prior_V <= -1e9] = -np.inf
        silence_V, strength = told["silence_V"].astype(np.float64), float(told["strength"][0])
        return cls(prior_V, silence_V, evidence_VV, strength, config)


def _normalised(told_BV: Floats) -> Floats:
    return np.asarray(told_BV - special.logsumexp(told_BV, axis=1, keepdims=True))


def _last_days(
    examples: pa.Table, catalog: Catalog, *, until: date
) -> tuple[pa.Table, sparse.csr_matrix, UserBatch]:
    """Rows before each user's last day, what was taken on that day, and the users before it."""
    ids = examples.column("user_id").combine_chunks().dictionary_encode()
    user, day = ids.indices.to_numpy().astype(np.int64), day_numbers(examples)
    last = np.full(len(ids.dictionary), np.iinfo(np.int64).min)
    np.maximum.at(last, user, day)
    is_last = day == last[user]
    first = np.full(len(last), np.iinfo(np.int64).max)
    np.minimum.at(first, user, day)
    # Who came on one day alone is what others are counted by, and foretells nothing.
    is_asked = is_last & (first < last)[user]
    before = examples.filter(pa.array(~is_asked))
    asked = np.flatnonzero(first < last)
    row = np.searchsorted(asked, user[is_asked])
    item = catalog.index_of(examples.column("item_id").filter(pa.array(is_asked)))
    wanted_BV = sparse.csr_matrix(
        (np.ones(len(row)), (row, item)), shape=(len(asked), len(catalog))
    )
    names = [str(name) for name in ids.dictionary.take(pa.array(asked)).to_pylist()]
    return before, wanted_BV, user_batch_at(before, catalog, until=until, user_ids=names)


def _likeliest(
    counted: BayesRetriever, users: UserBatch, wanted_BV: sparse.csr_matrix, *, most: int = 2_000
) -> float:
    """The strength under which what ``users`` took next was likeliest; 1 if nobody is asked."""
    if len(users) == 0:
        return 1.0
    some = np.random.default_rng(0).permutation(len(users))[:most]
    evidence_BV, wanted_BV = counted._evidence(users.take(some)), wanted_BV[some]
    wanted_BV = wanted_BV[:, FIRST_ITEM:]
    prior_V, evidence_BV = counted.prior_V[FIRST_ITEM:], evidence_BV[:, FIRST_ITEM:]

    def unlikely(strength: float) -> float:
        logs_BV = _normalised(prior_V + strength * evidence_BV)
        return -float(wanted_BV.multiply(logs_BV).sum()) / float(wanted_BV.sum())

    found = optimize.minimize_scalar(unlikely, bounds=(0.0, 20.0), method="bounded")
    return float(found.x)

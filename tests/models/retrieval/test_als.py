import numpy as np
import pytest
from scipy import sparse

from models.histories import user_batch_at
from models.retrieval.als import AlsRetriever, confidences, fold_in
from models.retrieval.config import AlsConfig

pytestmark = pytest.mark.filterwarnings("ignore:OpenBLAS is configured:RuntimeWarning")

CONFIG = AlsConfig(factors=8, regularization=2.0, alpha=10.0, power=1.0, iterations=3, threads=1)


def test_folding_in_is_what_implicit_calls_recalculating_a_user(planted):
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    batch = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)
    wanted = confidences(batch, CONFIG)
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(
            factors=8, regularization=2.0, iterations=3, num_threads=1, random_state=7
        )
        theirs.fit(wanted, show_progress=False)
        expected = theirs.recalculate_user(np.arange(len(batch)), wanted)
    ours = fold_in(wanted, theirs.item_factors, regularization=2.0)
    assert np.allclose(ours, expected, rtol=1e-3, atol=1e-4)


def test_confidence_is_one_plus_alpha_times_the_weight(planted):
    day = planted.cutoff
    batch = user_batch_at(
        planted.table([("u", "i000", day.replace(day=1))]), planted.catalog, until=day
    )
    wanted = confidences(batch, CONFIG)
    assert wanted[0, 2] == pytest.approx(1 + 10 * 1.0)
    assert wanted.nnz == 1


def test_what_was_only_seen_counts_a_little(planted):
    batch = user_batch_at(
        planted.examples, planted.catalog, until=planted.cutoff, user_ids=["u001"]
    )
    seen_only = type(batch)(
        batch.user_ids,
        batch.history_BT,
        sparse.csr_matrix(batch.bought_BV.shape, dtype=np.float32),
        batch.features_BF,
        batch.now_B,
    )
    wanted = confidences(seen_only, CONFIG)
    assert wanted.nnz == len(np.unique(batch.history_BT[batch.history_BT > 1]))
    assert np.allclose(wanted.data, 1 + 10 * CONFIG.seen_weight)


def test_learning_needs_implicit_but_serving_does_not(planted, tmp_path, monkeypatch):
    retriever = AlsRetriever.fit(
        planted.before(planted.cutoff), planted.catalog, until=planted.cutoff, config=CONFIG
    )
    retriever.save(tmp_path / "als")
    monkeypatch.setitem(__import__("sys").modules, "implicit", None)
    batch = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)
    assert np.isfinite(AlsRetriever.load(tmp_path / "als").scores(batch)[:, 2:]).all()

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from domain.errors import BadInputError
from domain.schemas import ITEM_FEATURE_TYPES
from models.candidates import Candidates
from models.fusion import Calibration, Fusion
from models.histories import user_batch_at
from models.ranking.config import DnnConfig, TransformerConfig
from models.ranking.dnn import FeatureNetwork
from models.ranking.features import feature_names, group_slices, item_slice
from models.ranking.transformer import CandidateTransformer
from models.recommender import HISTORY_GROUP, Recommender, scatter
from models.retrieval import CountedRetriever, PersonalRetriever, PopularityRetriever
from models.retrieval.config import CountedConfig, PersonalConfig, PopularityConfig

SOURCES = ("popularity", "personal")


@pytest.fixture
def text_VE(planted):
    text = np.random.default_rng(1).normal(size=(len(planted.catalog), 8)).astype(np.float32)
    return text / np.linalg.norm(text, axis=1, keepdims=True)


@pytest.fixture
def model(planted, text_VE):
    torch.manual_seed(1)
    before = planted.before(planted.cutoff)
    names = feature_names(SOURCES)
    dnn = FeatureNetwork(DnnConfig(widths=(8,)), names)
    torch.nn.init.normal_(dnn.linear.weight, std=0.2)
    columns = item_slice(SOURCES)
    return Recommender(
        catalog=planted.catalog,
        text_VE=text_VE,
        retrievers={
            "popularity": PopularityRetriever.fit(
                before, planted.catalog, until=planted.cutoff, config=PopularityConfig()
            ),
            "personal": PersonalRetriever.fit(
                before, planted.catalog, until=planted.cutoff, config=PersonalConfig()
            ),
        },
        dnn=dnn,
        transformer=CandidateTransformer(
            TransformerConfig(width=8, heads=1),
            torch.from_numpy(text_VE),
            columns.stop - columns.start,
        ),
        fusion=Fusion(Calibration(1.0, -2.0), Calibration(2.0, -1.0), alpha=0.7),
        per_source=6,
    )


@pytest.fixture
def batch(planted):
    return user_batch_at(planted.examples, planted.catalog, until=planted.cutoff).take(slice(0, 20))


@pytest.fixture
def item_table(planted):
    ids = planted.catalog.item_ids[2:].tolist()
    generator = np.random.default_rng(2)
    columns = {
        name: pa.array(generator.integers(0, 30, len(ids)).astype(float), pa.float64()).cast(kind)
        if not pa.types.is_timestamp(kind)
        else pa.nulls(len(ids), kind)
        for name, kind in ITEM_FEATURE_TYPES.items()
    }
    return pa.table({"item_id": ids, **columns})


def test_the_fused_score_is_the_formula_of_the_two_rankers(model, batch, item_table, planted):
    candidates = model.retrieve(batch, bought="any", day=planted.cutoff)
    ranked = model.rank_parts(batch, candidates, item_table)
    mask = candidates.mask_BC
    expected = 0.7 * (ranked.dnn_BC - 2.0) + 0.3 * (2.0 * ranked.transformer_BC - 1.0)
    np.testing.assert_allclose(ranked.scores_BC[mask], expected[mask], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(model.rank(batch, candidates, item_table), ranked.scores_BC)


def test_padding_is_never_ranked(model, batch, item_table, planted):
    candidates = model.retrieve(batch, bought="any", day=planted.cutoff)
    holes = candidates.item_index_BC.copy()
    holes[:, 1] = 0  # a rule took it away
    thinned = Candidates(holes, candidates.source_scores_BCS, candidates.source_names)
    scores = model.rank(batch, thinned, item_table)
    assert (scores[~thinned.mask_BC] == -np.inf).all()
    assert np.isfinite(scores[thinned.mask_BC]).all()


def test_one_user_gets_what_they_get_among_many(model, batch, item_table, planted):
    parts = list(model.rank_users(batch, item_table, task="any", day=planted.cutoff))
    whole = scatter(parts[0][1].scores_BC, parts[0][0], len(planted.catalog))
    for row in (0, 7, 19):
        one = batch.take(slice(row, row + 1))
        candidates = model.retrieve(one, bought="any", day=planted.cutoff)
        alone = scatter(model.rank(one, candidates, item_table), candidates, len(planted.catalog))
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-4, atol=1e-4)


def test_thousands_of_users_go_in_chunks_and_keep_their_order(
    model, batch, item_table, planted, monkeypatch
):
    whole = list(model.rank_users(batch, item_table, task="new", day=planted.cutoff))
    monkeypatch.setattr("models.recommender.USERS_AT_ONCE", 7)
    chunked = list(model.rank_users(batch, item_table, task="new", day=planted.cutoff))
    assert [len(candidates) for candidates, _ in chunked] == [7, 7, 6]
    width = len(planted.catalog)
    joined = np.concatenate([scatter(r.scores_BC, c, width) for c, r in chunked])
    np.testing.assert_allclose(
        joined, scatter(whole[0][1].scores_BC, whole[0][0], width), rtol=1e-4, atol=1e-4
    )


def test_new_leaves_out_what_was_bought_and_a_wrong_task_is_refused(model, batch, planted):
    candidates = model.retrieve(batch, bought="new", day=planted.cutoff)
    for row in range(len(batch)):
        assert not set(candidates.item_index_BC[row]) & set(batch.bought_BV[row].indices)
    with pytest.raises(ValueError, match="task"):
        model.retrieve(batch, bought="all", day=planted.cutoff)


def test_an_unknown_user_is_answered_too(model, batch, item_table, planted):
    nobody = replace(
        batch,
        history_BT=np.zeros_like(batch.history_BT),
        bought_BV=batch.bought_BV * 0,
    )
    candidates = model.retrieve(nobody, bought="any", day=planted.cutoff)
    scores = model.rank(nobody, candidates, item_table)
    assert np.isfinite(scores[candidates.mask_BC]).all()
    assert candidates.mask_BC.any(axis=1).all()


def test_item_features_without_ids_are_in_catalog_order(model, batch, item_table, planted):
    candidates = model.retrieve(batch, bought="any", day=planted.cutoff)
    named = model.rank(batch, candidates, item_table)
    unnamed = model.rank(batch, candidates, item_table.drop_columns(["item_id"]))
    np.testing.assert_array_equal(named, unnamed)


def test_refreshed_item_features_are_used_at_once(model, batch, item_table, planted):
    candidates = model.retrieve(batch, bought="any", day=planted.cutoff)
    before = model.rank(batch, candidates, item_table)
    at = item_table.schema.get_field_index("purchase_count_7d")
    more = item_table.set_column(at, "purchase_count_7d", pa.array([99] * len(item_table)))
    assert not np.allclose(model.rank(batch, candidates, more), before)


def test_a_contribution_is_what_the_score_loses_without_the_group(
    model, batch, item_table, planted
):
    candidates = model.retrieve(batch, bought="any", day=planted.cutoff)
    found = model.contributions(batch, candidates, item_table)
    assert set(found) == {*group_slices(SOURCES), HISTORY_GROUP}
    mask = candidates.mask_BC
    heard = model.rank_parts(batch, candidates, item_table)
    silent = replace(batch, history_BT=np.zeros_like(batch.history_BT))
    # The history features of the DNN change with it too, so only the transformer is compared.
    unheard = model.rank_parts(silent, candidates, item_table)
    lost = 0.3 * 2.0 * (heard.transformer_BC[mask] - unheard.transformer_BC[mask])
    np.testing.assert_allclose(found[HISTORY_GROUP][mask], lost, rtol=1e-3, atol=1e-4)


def test_a_group_that_the_network_ignores_contributes_nothing(model, batch, item_table, planted):
    columns = group_slices(SOURCES)["price"]
    with torch.no_grad():
        model.dnn.linear.weight[:, columns] = 0.0
        model.dnn.hidden[0].weight[:, columns] = 0.0
        model.dnn.cross_down.weight[:, columns] = 0.0
        model.dnn.out.weight[:, 8:][:, columns] = 0.0
    candidates = model.retrieve(batch, bought="any", day=planted.cutoff)
    found = model.contributions(batch, candidates, item_table)
    assert np.abs(found["price"]).max() < 1e-6
    assert np.abs(found["personal"]).max() > 1e-3


def test_what_is_counted_moves_the_score_and_is_told(planted, model, batch, item_table):
    torch.manual_seed(1)
    sources = ("popularity", "personal", "counted")
    counted = CountedRetriever.fit(
        planted.before(planted.cutoff),
        planted.catalog,
        until=planted.cutoff,
        config=CountedConfig(),
    )
    parts = {
        "catalog": planted.catalog,
        "text_VE": model.text_VE,
        "retrievers": {**model.retrievers, "counted": counted},
        "dnn": FeatureNetwork(DnnConfig(widths=(8,)), feature_names(sources)),
        "transformer": model.transformer,
        "per_source": 6,
    }
    without = Recommender(**parts, fusion=model.fusion)
    leaning = Recommender(**parts, fusion=replace(model.fusion, counted_weight=0.5))
    candidates = without.retrieve(batch, bought="any", day=planted.cutoff)
    mask = candidates.mask_BC
    more, less = (each.rank(batch, candidates, item_table)[mask] for each in (leaning, without))
    assert np.abs(more - less).max() > 0.5
    told = leaning.contributions(batch, candidates, item_table)["counted"]
    before = without.contributions(batch, candidates, item_table)["counted"]
    np.testing.assert_allclose((told - before)[mask], more - less, atol=1e-4)
    fresh = without.retrieve(batch, bought="new", day=planted.cutoff)
    np.testing.assert_array_equal(
        leaning.rank(batch, fresh, item_table), without.rank(batch, fresh, item_table)
    )


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="no finished run"):
        Recommender.load(tmp_path)

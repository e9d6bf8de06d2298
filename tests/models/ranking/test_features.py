from dataclasses import replace

import numpy as np
import pytest

from domain.clock import midnight
from domain.schemas import HISTORY_LENGTH
from models.batch import USER_FEATURE_NAMES
from models.candidates import Candidates
from models.histories import user_batch_at
from models.ranking.features import (
    Assembler,
    counted_of,
    feature_names,
    group_slices,
    item_slice,
)
from models.ranking.items import ITEM_FEATURE_NAMES, ItemMatrix

SOURCES = ("popularity", "personal")
NAMES = feature_names(SOURCES)


@pytest.fixture
def batch(planted):
    return user_batch_at(planted.examples, planted.catalog, until=planted.until).take(slice(0, 4))


@pytest.fixture
def candidates():
    index = np.array([[2, 3, 10, 0]] * 4, dtype=np.int32)
    scores = np.full((4, 4, 2), -np.inf, dtype=np.float32)
    scores[:, :3, 0] = [3.0, 2.0, 1.0]
    scores[:, :2, 1] = [1.0, 5.0]
    return Candidates(index, scores, SOURCES)


@pytest.fixture
def items(planted):
    values = np.zeros((len(planted.catalog), len(ITEM_FEATURE_NAMES)), dtype=np.float32)
    values[2, ITEM_FEATURE_NAMES.index("purchase_count_7d")] = 7.0
    values[2, ITEM_FEATURE_NAMES.index("purchase_count_30d")] = 7.0
    price = np.full(len(planted.catalog), 200.0, dtype=np.float32)
    return ItemMatrix(values, price, midnight(planted.until))


@pytest.fixture
def assembler(planted):
    text = np.eye(len(planted.catalog), dtype=np.float32)
    text[3] = text[2]  # item 3 says of itself what item 2 says
    return Assembler(planted.catalog, text)


def column(features, name):
    return features[..., NAMES.index(name)]


def test_every_feature_has_a_name_and_every_name_a_group(assembler, batch, candidates, items):
    features = assembler.assemble(batch, candidates, items)
    assert features.shape == (4, 4, len(NAMES))
    assert features.dtype == np.float32
    covered = np.concatenate([np.arange(len(NAMES))[s] for s in group_slices(SOURCES).values()])
    assert covered.tolist() == list(range(len(NAMES)))
    assert len(set(NAMES)) == len(NAMES)


def test_everything_is_finite_also_at_padding(assembler, batch, candidates, items):
    assert np.isfinite(assembler.assemble(batch, candidates, items)).all()


def test_sources_speak_in_deviations_ranks_and_whether_they_know(
    assembler, batch, candidates, items
):
    features = assembler.assemble(batch, candidates, items)
    deviation = column(features, "popularity_deviation")[0]
    # 3, 2, 1: mean 2, deviation √(2/3)
    assert deviation[:3] == pytest.approx(np.array([1.0, 0.0, -1.0]) / np.sqrt(2 / 3))
    assert column(features, "personal_reciprocal_rank")[0].tolist() == pytest.approx(
        [1 / np.sqrt(2), 1.0, 0.0, 0.0]
    )
    assert column(features, "personal_has_opinion")[0].tolist() == [1, 1, 0, 0]


def test_the_newest_time_an_item_stands_in_the_history_is_what_counts(
    assembler, batch, candidates, items
):
    history = np.zeros((4, HISTORY_LENGTH), dtype=np.int32)
    history[0, -4:] = [2, 10, 2, 3]
    features = assembler.assemble(replace(batch, history_BT=history), candidates, items)
    recency = column(features, "history_recency")[0]
    assert recency.tolist() == pytest.approx([1 / np.sqrt(2), 1.0, 1 / np.sqrt(3), 0.0])
    assert column(features, "history_count")[0].tolist() == pytest.approx(
        np.log1p([2, 1, 1, 0]).tolist()
    )
    assert column(features, "is_last_interaction")[0].tolist() == [0, 1, 0, 0]
    assert column(features, "history_distinct_share")[0, 0] == pytest.approx(3 / 4)


def test_an_item_does_not_resemble_itself_but_its_twin(assembler, batch, candidates, items):
    history = np.zeros((4, HISTORY_LENGTH), dtype=np.int32)
    history[:, -1] = 2
    features = assembler.assemble(replace(batch, history_BT=history), candidates, items)
    assert column(features, "text_similarity_max")[0, :3].tolist() == [0.0, 1.0, 0.0]


def test_bought_features_are_the_batchs_own_weights(assembler, batch, candidates, items):
    features = assembler.assemble(batch, candidates, items)
    for row in range(4):
        weights = batch.bought_BV[row].toarray()[0]
        wanted = [weights[item] for item in candidates.item_index_BC[row]]
        assert column(features, "bought_weight")[row].tolist() == pytest.approx(np.log1p(wanted))
        share = np.array(wanted) / weights.sum()
        assert column(features, "bought_weight_share")[row].tolist() == pytest.approx(share)


def test_price_is_measured_against_the_users_usual_one(assembler, batch, candidates, items):
    features_BF = np.zeros_like(batch.features_BF)
    features_BF[0, USER_FEATURE_NAMES.index("price_mean_90d")] = 100.0
    known = replace(batch, features_BF=features_BF)
    features = assembler.assemble(known, candidates, items)
    assert column(features, "price_ratio")[0, 0] == pytest.approx(np.log(2.0))
    assert column(features, "price_ratio")[1, 0] == 0.0  # no usual price: as usual


def test_a_batch_gives_what_each_user_alone_gets(assembler, batch, candidates, items):
    whole = assembler.assemble(batch, candidates, items)
    for row in range(4):
        rows = slice(row, row + 1)
        alone = assembler.assemble(batch.take(rows), candidates.take(rows), items)
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-5, atol=1e-6)


def test_what_the_transformer_reads_is_the_same_for_all_users(assembler, batch, candidates, items):
    features = assembler.assemble(batch, candidates, items)[..., item_slice(SOURCES)]
    assert (features == features[:1]).all()
    assert features[0, 0, ITEM_FEATURE_NAMES.index("purchase_count_7d")] == pytest.approx(np.log(8))


def test_what_is_counted_speaks_where_something_was_bought_before(assembler, batch, items):
    sources = ("popularity", "counted")
    names = feature_names(sources)
    index = np.array([[2, 3, 10, 0]] * 4, dtype=np.int32)
    scores = np.full((4, 4, 2), -np.inf, dtype=np.float32)
    scores[:, :3, 0], scores[:, :3, 1] = [3.0, 2.0, 1.0], [1.0, 5.0, 0.0]
    features = assembler.assemble(batch, Candidates(index, scores, sources), items)
    bought = batch.bought_BV.toarray()[:, [2, 3, 10]].any(axis=1)
    assert bought.any()
    assert not bought.all()
    told = counted_of(features, sources)
    deviation = features[..., names.index("counted_deviation")]
    assert np.array_equal(told[bought], deviation[bought])
    assert np.abs(told[bought, :3]).min() > 0
    assert (told[~bought] == 0).all()
    assert (counted_of(features[..., : len(NAMES)], SOURCES) == 0).all()

"""What every retriever must hold, whichever it is."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from models.evaluate import judge, make_task, paired_difference
from models.histories import user_batch_at
from models.retrieval import PRESETS, RETRIEVERS, FitContext
from models.splits import split_by_time

NAMES = list(RETRIEVERS)
NEXT_ITEM = ["next_item", "gpt2", "gru", "convolution"]
ITEM_ITEM = ["neighbours", "ease", "transitions"]
LEARNED = ["als", "bayes", "vae", "gan", *ITEM_ITEM, "content", "sequence", *NEXT_ITEM]


def config(name):
    preset = PRESETS["debug"].of(name)
    if name == "als":
        return replace(preset, factors=8, regularization=1.0, threads=1)
    if name in {"vae", "gan"}:
        als = replace(preset.als, factors=8, regularization=1.0, threads=1)
        return replace(preset, als=als)
    if name in {"neighbours", "ease"}:
        return replace(preset, seen_weight=0.0)
    if name == "sequence":
        loop = replace(preset.loop, epochs=8, learning_rate=0.01, patience=0, warmup_steps=5)
        return replace(preset, dropout=0.1, batch_rows=32, loop=loop)
    if name in NEXT_ITEM:
        loop = replace(preset.loop, epochs=12, learning_rate=0.01, patience=0, warmup_steps=5)
        return replace(preset, dropout=0.1, batch_targets=128, loop=loop)
    return preset


def text(planted):
    """A text embedding that tells the group and nothing else."""
    vectors = np.zeros((len(planted.catalog), 4), dtype=np.float32)
    vectors[np.arange(2, 42), np.arange(40) % 4] = 1.0
    return vectors


@pytest.fixture(scope="module")
def fitted(planted):
    train = planted.before(planted.cutoff)
    return {
        name: kind.fit(
            train,
            planted.catalog,
            until=planted.cutoff,
            config=config(name),
            context=FitContext(text_VE=text(planted)),
        )
        for name, kind in RETRIEVERS.items()
    }


@pytest.fixture(scope="module")
def batch(planted):
    return user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)


@pytest.mark.parametrize("name", NAMES)
def test_scores_have_the_shape_of_users_by_catalog(fitted, batch, name):
    scores = fitted[name].scores(batch)
    assert scores.shape == (80, 42)
    assert scores.dtype == np.float32
    assert np.isneginf(scores[:, :2]).all()
    assert not np.isnan(scores).any()
    has_opinion = np.isfinite(scores[:, 2:])
    # Items that nothing a user took speaks for: no opinion, rather than the same for them all.
    assert has_opinion.any(axis=1).all() if name in ITEM_ITEM else has_opinion.all()


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_scores_the_same(fitted, batch, name, tmp_path):
    fitted[name].save(tmp_path / name)
    loaded = RETRIEVERS[name].load(tmp_path / name)
    assert np.array_equal(loaded.scores(batch), fitted[name].scores(batch))


@pytest.mark.parametrize("name", NAMES)
def test_a_user_scores_the_same_alone_and_among_others(fitted, batch, name):
    together = fitted[name].scores(batch)
    alone = fitted[name].scores(batch.take(np.array([17])))
    assert np.allclose(alone[0, 2:], together[17, 2:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_future_events_never_change_a_score(fitted, planted, name):
    until = planted.cutoff - timedelta(days=5)
    ids = ["u001", "u002", "u003"]
    knowing = user_batch_at(planted.examples, planted.catalog, until=until, user_ids=ids)
    honest = user_batch_at(planted.before(until), planted.catalog, until=until, user_ids=ids)
    assert np.array_equal(fitted[name].scores(knowing), fitted[name].scores(honest))


@pytest.mark.parametrize("name", NAMES)
def test_a_user_nobody_knows_gets_popularity_or_no_opinion(fitted, planted, name):
    nobody = user_batch_at(
        planted.examples, planted.catalog, until=planted.cutoff, user_ids=["nobody"]
    )
    scores = fitted[name].scores(nobody)[0, 2:]
    has_no_opinion = name in {"als", "vae", "gan", "content", *NEXT_ITEM, *ITEM_ITEM}
    assert np.isneginf(scores).all() if has_no_opinion else np.isfinite(scores).all()


@pytest.mark.parametrize("name", LEARNED)
def test_planted_tastes_beat_popularity_on_new_items(fitted, planted, name):
    split = split_by_time(planted.examples, cutoff=planted.cutoff, until=planted.until)
    task = make_task("new", split, planted.catalog)
    users = user_batch_at(
        split.train, planted.catalog, until=planted.cutoff, user_ids=list(task.user_ids)
    )
    learned, popular = (
        judge(fitted[which].scores, users, task, model=which).per_user
        for which in (name, "popularity")
    )
    assert paired_difference(learned, popular).low > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_fitting_twice_gives_the_same_scores(planted, batch, name):
    train = planted.before(planted.cutoff)
    scores = [
        RETRIEVERS[name]
        .fit(
            train,
            planted.catalog,
            until=planted.cutoff,
            config=PRESETS["debug"].of(name),
            context=FitContext(text_VE=text(planted)),
        )
        .scores(batch)
        for _ in range(2)
    ]
    assert np.array_equal(scores[0], scores[1])

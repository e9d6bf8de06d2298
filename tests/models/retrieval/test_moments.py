from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import torch

from models.histories import day_number, user_batch_at
from models.retrieval.config import SequenceConfig
from models.retrieval.moments import Events, Moments, Priors

CONFIG = SequenceConfig(target_days=5, moments_per_user=100, batch_rows=16)
DAY = date(2026, 1, 1)


def moments(planted, examples, until, config=CONFIG):
    return Moments(
        Events.of(examples, planted.catalog),
        until=until,
        catalog_size=len(planted.catalog),
        config=config,
        device=torch.device("cpu"),
    )


def rows_of(batches):
    return [
        (batch.history_BT[row], batch.bought_BV[row], batch.wanted_BV[row])
        for batch in batches
        for row in range(len(batch))
    ]


def test_a_row_is_a_user_at_the_end_of_a_day_and_what_came_in_the_days_after(planted):
    def on(day):
        return DAY + timedelta(days=day)

    examples = planted.table(
        [("u", "i000", on(0)), ("u", "i001", on(0)), ("u", "i002", on(5)), ("u", "i003", on(11))]
    )
    rows = rows_of(moments(planted, examples, on(20)).epoch(0))
    seen = {tuple(h[h > 0].tolist()): sorted(torch.nonzero(w).ravel().tolist()) for h, _, w in rows}
    # before the first day: the first five days' items; after day 0: day 5 is in, day 11 is not;
    # after day 5: day 11 is too late, so there is no such row.
    assert seen == {(): [2, 3], (2, 3): [4]}


def test_inputs_are_what_the_store_would_have_held_that_day(planted):
    config = replace(CONFIG, moments_per_user=1)
    made = moments(planted, planted.before(planted.cutoff), planted.cutoff, config)
    index = {u: n for n, u in enumerate(dict.fromkeys(planted.examples["user_id"].to_pylist()))}
    rows = made._draw(np.random.default_rng(0))[:20]
    batch = made.batch(rows)
    for at, row in enumerate(rows):
        user = next(name for name, number in index.items() if number == made._user[row])
        until = date(1970, 1, 1) + timedelta(days=int(made._day[row]) + 1)
        held = user_batch_at(planted.examples, planted.catalog, until=until, user_ids=[user])
        assert batch.history_BT[at].tolist() == held.history_BT[0].tolist()
        assert np.allclose(batch.bought_BV[at].numpy(), held.bought_BV.toarray()[0], atol=1e-6)


def test_nothing_after_the_cutoff_is_a_target(planted):
    until = planted.cutoff
    honest = rows_of(moments(planted, planted.before(until), until).epoch(0))
    assert all(wanted.sum() > 0 for _, _, wanted in honest)
    latest = max(len(history[history > 0]) for history, _, _ in honest)
    assert latest < 14


def test_an_epoch_is_the_same_again_and_the_next_one_is_not(planted):
    config = replace(CONFIG, moments_per_user=2)
    made = moments(planted, planted.before(planted.cutoff), planted.cutoff, config)
    first, again, second = (list(made.epoch(number)) for number in (0, 0, 1))
    assert len(first) == len(made) == 10
    assert sum(len(batch) for batch in first) == 160
    assert all(torch.equal(a.history_BT, b.history_BT) for a, b in zip(first, again, strict=True))
    assert not all(
        torch.equal(a.history_BT, b.history_BT) for a, b in zip(first, second, strict=False)
    )


def test_the_prior_of_a_day_knows_that_day_and_nothing_later(planted):
    until = planted.cutoff
    day = np.array([day_number(until) - 10])
    some = planted.before(until - timedelta(days=9))
    arguments = {"until": until, "catalog_size": 42, "config": CONFIG}
    whole = Priors(Events.of(planted.before(until), planted.catalog), **arguments).at(day)
    honest = Priors(Events.of(some, planted.catalog), **arguments).at(day)
    assert whole.shape == (1, 2, 42)
    assert np.array_equal(whole, honest)


def test_the_prior_is_the_log_of_the_decayed_share(planted):
    examples = planted.table([("u", "i000", DAY), ("u", "i001", DAY + timedelta(days=3))])
    config = replace(CONFIG, prior_half_lives_days=(3.0,))
    prior = Priors(
        Events.of(examples, planted.catalog),
        until=DAY + timedelta(days=4),
        catalog_size=42,
        config=config,
    ).at(np.array([day_number(DAY) + 3]))[0, 0]
    # weight 5 decayed by one half-life, and 5; half a unit for everything; relative to 1/42
    expected = np.log((2.5 + 0.5) / (5 + 0.5))
    assert prior[2] - prior[3] == pytest.approx(expected, rel=1e-3)

from datetime import date

import numpy as np
import pytest

from domain.errors import BadInputError
from models.histories import require_before, user_batch_at

D = [date(2026, 1, day) for day in range(1, 31)]


def test_history_runs_oldest_to_newest_with_item_id_breaking_ties(planted):
    examples = planted.table([("u", "i003", D[1]), ("u", "i002", D[0]), ("u", "i001", D[1])])
    batch = user_batch_at(examples, planted.catalog, until=D[5])
    assert batch.history_BT[0, -4:].tolist() == [0, 4, 3, 5]


def test_bought_weights_decay_from_the_users_own_last_day(planted):
    examples = planted.table([("u", "i000", D[0]), ("u", "i000", D[9]), ("u", "i001", D[0])])
    bought = user_batch_at(examples, planted.catalog, until=D[20]).bought_BV
    nine_days = 0.5 ** (9 / 90)
    assert bought[0, 2] == pytest.approx(1.0 + nine_days)
    assert bought[0, 3] == pytest.approx(nine_days)


def test_events_on_or_after_the_moment_never_count(planted):
    now = user_batch_at(planted.examples, planted.catalog, until=planted.cutoff)
    then = user_batch_at(planted.before(planted.cutoff), planted.catalog, until=planted.cutoff)
    assert np.array_equal(now.history_BT, then.history_BT)
    assert (now.bought_BV != then.bought_BV).nnz == 0


def test_unknown_users_get_an_empty_row(planted):
    batch = user_batch_at(
        planted.examples, planted.catalog, until=planted.cutoff, user_ids=["nobody", "u001"]
    )
    assert not batch.history_BT[0].any()
    assert batch.bought_BV[0].nnz == 0
    assert batch.bought_BV[1].nnz > 0


def test_only_the_last_two_thousand_bought_items_stay(planted, monkeypatch):
    monkeypatch.setattr("models.histories.BOUGHT_LENGTH", 2)
    examples = planted.table([("u", "i000", D[0]), ("u", "i001", D[2]), ("u", "i002", D[1])])
    bought = user_batch_at(examples, planted.catalog, until=D[5]).bought_BV
    assert sorted(bought[0].indices.tolist()) == [3, 4]


def test_learning_from_the_future_is_refused(planted):
    require_before(planted.before(planted.cutoff), planted.cutoff)
    with pytest.raises(BadInputError, match="expected all before"):
        require_before(planted.examples, planted.cutoff)
    with pytest.raises(BadInputError, match="nothing to learn"):
        require_before(planted.examples.slice(0, 0), planted.cutoff)

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from domain.clock import midnight
from domain.schemas import RANKING_EXAMPLES, RETRIEVAL_EXAMPLES
from models.histories import user_batch_at
from models.ranking.examples import WindowEvents, events_in, make_lists
from models.ranking.features import Assembler
from models.ranking.items import ITEM_FEATURE_NAMES, ItemMatrix
from models.ranking.windows import Window
from models.retrieval import PersonalRetriever, PopularityRetriever
from models.retrieval.config import PersonalConfig, PopularityConfig

WINDOW = Window(date(2026, 2, 1), date(2026, 2, 8))


def rows(schema, *given):
    columns = {name: [row.get(name) for row in given] for name in schema.names}
    for at, row in enumerate(given):
        day = row["event_date"]
        columns["event_timestamp"][at] = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return pa.table(columns, schema=schema)


def wanted(user, item, day, *, bought=True):
    return {
        "user_id": user,
        "item_id": item,
        "event_date": day,
        "weight": 5.0 if bought else 1.0,
        "is_purchase": bought,
    }


def shown(user, item, day):
    return {"user_id": user, "item_id": item, "event_date": day, "label": 0, "is_impressed": True}


def test_a_window_holds_its_first_day_and_not_its_end(planted):
    inside, first = date(2026, 2, 3), WINDOW.start
    interactions = rows(
        RETRIEVAL_EXAMPLES,
        wanted("a", "i001", first),
        wanted("a", "i002", WINDOW.end),
        wanted("a", "i003", first - timedelta(days=1)),
        wanted("b", "i004", inside, bought=False),
    )
    events = events_in(
        WINDOW, interactions=interactions, shown=rows(RANKING_EXAMPLES), catalog=planted.catalog
    )
    assert events.user_ids == ("a", "b")
    labels = {(u, i): v for u, i, v in zip(*_cells(events.wanted_BV), strict=True)}
    assert labels == {(0, planted.catalog.index_of(["i001"])[0]): 2.0, (1, 6): 1.0}


def test_of_a_click_and_a_purchase_the_purchase_counts_once(planted):
    interactions = rows(
        RETRIEVAL_EXAMPLES,
        wanted("a", "i001", date(2026, 2, 2)),
        wanted("a", "i001", date(2026, 2, 3), bought=False),
        wanted("a", "i001", date(2026, 2, 4)),
    )
    events = events_in(
        WINDOW, interactions=interactions, shown=rows(RANKING_EXAMPLES), catalog=planted.catalog
    )
    assert events.wanted_BV.data.tolist() == [2.0]


def test_impressions_of_the_window_are_kept_for_users_who_wanted_something(planted):
    interactions = rows(RETRIEVAL_EXAMPLES, wanted("a", "i001", date(2026, 2, 2)))
    impressions = rows(
        RANKING_EXAMPLES,
        shown("a", "i005", date(2026, 2, 2)),
        shown("b", "i006", date(2026, 2, 2)),
        shown("a", "i007", WINDOW.end),
        {**shown("a", "i008", date(2026, 2, 2)), "is_impressed": False},
    )
    events = events_in(
        WINDOW, interactions=interactions, shown=impressions, catalog=planted.catalog
    )
    user, item, _ = _cells(events.impressed_BV)
    assert (user.tolist(), item.tolist()) == ([0], planted.catalog.index_of(["i005"]).tolist())


def _cells(matrix):
    found = matrix.tocoo()
    return found.row, found.col, found.data


def _lists(planted, task, *, impressed=()):
    window = Window(planted.cutoff, planted.until)
    before = planted.before(planted.cutoff)
    events = events_in(
        window,
        interactions=planted.examples,
        shown=rows(RANKING_EXAMPLES, *impressed),
        catalog=planted.catalog,
    )
    assert isinstance(events, WindowEvents)
    batch = user_batch_at(
        before, planted.catalog, until=planted.cutoff, user_ids=list(events.user_ids)
    )
    fitted = {
        "popularity": PopularityRetriever.fit(
            before, planted.catalog, until=planted.cutoff, config=PopularityConfig()
        ),
        "personal": PersonalRetriever.fit(
            before, planted.catalog, until=planted.cutoff, config=PersonalConfig()
        ),
    }
    width = len(planted.catalog)
    lists = make_lists(
        batch,
        events,
        task=task,
        retrievers=fitted,
        assembler=Assembler(planted.catalog, np.zeros((width, 4), np.float32)),
        items=ItemMatrix(
            np.zeros((width, len(ITEM_FEATURE_NAMES)), np.float32),
            np.zeros(width, np.float32),
            midnight(planted.cutoff),
        ),
        allowed_V=planted.catalog.available(planted.cutoff),
        per_source=5,
    )
    return lists, batch, events


def test_labels_are_what_the_user_went_on_to_buy(planted):
    lists, _, events = _lists(planted, "any")
    truth = events.wanted_BV.toarray()
    found = np.take_along_axis(truth, lists.item_index_LC.astype(np.int64), axis=1)
    np.testing.assert_array_equal(lists.labels_LC, found)
    assert (lists.labels_LC > 0).any()


def test_what_was_bought_before_is_no_candidate_of_new(planted):
    lists, batch, _ = _lists(planted, "new")
    for row in range(len(lists)):
        assert not set(lists.item_index_LC[row]) & set(batch.bought_BV[row].indices)
    known, _, _ = _lists(planted, "any")
    assert any(
        set(known.item_index_LC[row]) & set(batch.bought_BV[row].indices)
        for row in range(len(known))
    )


def test_what_was_shown_and_left_alone_is_a_negative_though_nobody_proposed_it(planted):
    plain, _, events = _lists(planted, "any")
    proposed, untouched = set(plain.item_index_LC[0]), events.wanted_BV[0].toarray()[0]
    item = next(i for i in range(2, 42) if i not in proposed and untouched[i] == 0)
    seen = shown(events.user_ids[0], planted.catalog.item_ids[item], planted.cutoff)
    lists, _, _ = _lists(planted, "any", impressed=[seen])
    at = lists.item_index_LC[0].tolist().index(item)
    assert lists.labels_LC[0, at] == 0.0


def test_what_the_users_do_in_the_window_never_changes_a_feature(planted):
    """No peeking: the features of a list are those of its snapshot."""
    whole, _, _ = _lists(planted, "any")
    truth = planted.examples
    is_late = np.array([day >= planted.cutoff for day in truth.column("event_date").to_pylist()])
    turned = truth.column("item_id").to_pylist()
    late = [item for item, is_it in zip(turned, is_late, strict=True) if is_it][::-1]
    items = iter(late)
    other = [next(items) if is_it else item for item, is_it in zip(turned, is_late, strict=True)]
    at = truth.schema.get_field_index("item_id")
    changed = type(planted)(
        items=planted.items,
        catalog=planted.catalog,
        examples=truth.set_column(at, "item_id", pa.array(other)),
        cutoff=planted.cutoff,
        until=planted.until,
    )
    again, _, _ = _lists(changed, "any")
    np.testing.assert_array_equal(again.item_index_LC, whole.item_index_LC)
    np.testing.assert_array_equal(again.features_LCF, whole.features_LCF)
    assert not np.array_equal(again.labels_LC, whole.labels_LC)

from datetime import date, timedelta
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from domain.events import SESSION_GAP, EventType, Surface
from domain.schemas import LANDED_EVENTS, LANDED_ITEMS, LANDED_USERS
from simulator.config import PRESETS
from simulator.shop import Shop, simulate


def written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def of(log: pa.Table, event_type: EventType) -> pa.Table:
    return log.filter(pc.equal(log["event_type"], event_type.value))


def test_a_day_made_alone_has_the_bytes_of_the_day_made_in_order(shop: Shop):
    day = shop.days[12]
    for earlier in shop.days[:12]:
        shop.events(earlier)
    alone = simulate(PRESETS["debug"], seed=7)
    assert written(alone.events(day)) == written(shop.events(day))
    assert written(alone.users(day)) == written(shop.users(day))
    assert written(alone.items(day)) == written(shop.items(day))


def test_another_seed_is_another_shop(shop: Shop):
    other = simulate(PRESETS["debug"], seed=8)
    assert not other.events(shop.days[0]).equals(shop.events(shop.days[0]))
    assert not other.items(shop.days[0]).equals(shop.items(shop.days[0]))


def test_the_tables_have_the_landed_schemas(shop: Shop):
    events = shop.events(shop.days[0])
    assert [(field.name, field.type) for field in events.schema] == [
        (field.name, field.type) for field in LANDED_EVENTS
    ]
    assert shop.users(shop.days[0]).schema == LANDED_USERS
    assert shop.items(shop.days[0]).schema == LANDED_ITEMS
    shop.users(shop.days[0]).validate(full=True)
    shop.items(shop.days[0]).validate(full=True)


def test_all_kinds_of_events_and_surfaces_happen(log: pa.Table):
    assert set(log["event_type"].to_pylist()) == {kind.value for kind in EventType}
    assert set(log["surface"].to_pylist()) - {None} == {surface.value for surface in Surface}


def test_clean_event_ids_are_unique_over_all_days(log: pa.Table):
    assert pc.count_distinct(log["event_id"]).as_py() == len(log)


def test_clean_events_happen_on_their_day_to_known_users_and_items(shop: Shop):
    for day in shop.days:
        events = shop.events(day)
        clean = events.slice(0, len(events) - sum(shop.planted_dirt(day).values()))
        assert set(pc.cast(clean["event_timestamp"], pa.date32()).to_pylist()) == {day}
        assert set(clean["user_id"].to_pylist()) <= set(shop.users(day)["user_id"].to_pylist())
        items = set(shop.items(day)["item_id"].to_pylist())
        assert set(clean["item_id"].drop_null().to_pylist()) <= items


def test_nothing_is_shown_that_cannot_be_bought(shop: Shop, log: pa.Table):
    shown = of(log, EventType.IMPRESSION)
    last_day = dict(
        zip(shop.world.items.ids.tolist(), shop.world.items.last_day.tolist(), strict=True)
    )
    pairs = zip(shown["item_id"].to_pylist(), shown["day"].to_pylist(), strict=True)
    assert all(last_day[item] >= day.toordinal() for item, day in pairs)


FILLED = {
    EventType.IMPRESSION: "item_id session_id request_id surface position propensity",
    EventType.CLICK: "item_id session_id request_id surface position",
    EventType.VIEW: "item_id session_id surface",
    EventType.ADD_TO_CART: "item_id session_id surface quantity unit_price_cents",
    EventType.PURCHASE: "item_id session_id surface quantity unit_price_cents",
    EventType.RETURN: "item_id quantity unit_price_cents",
    EventType.SEARCH: "session_id request_id surface query_text",
}


@pytest.mark.parametrize("event_type", list(EventType))
def test_each_type_fills_its_columns_and_no_others(log: pa.Table, event_type: EventType):
    rows = of(log, event_type)
    filled = FILLED[event_type].split()
    always = {"event_id", "event_type", "event_timestamp", "user_id", "day", *filled}
    # A view that nobody's request led to has no request_id; what follows from it has none either.
    sometimes = {"request_id"} if event_type in {"view", "add_to_cart", "purchase"} else set()
    nulls = {name: rows[name].null_count for name in rows.column_names}
    assert {name for name, count in nulls.items() if count == 0} - sometimes == always
    assert {name for name, count in nulls.items() if 0 < count < len(rows)} <= sometimes


def test_every_click_answers_an_impression_at_the_same_place_before_it(log: pa.Table):
    keys = ["request_id", "item_id", "position", "surface", "user_id", "session_id"]
    shown = of(log, EventType.IMPRESSION).select([*keys, "event_timestamp"])
    clicked = of(log, EventType.CLICK)
    joined = clicked.join(shown, keys=keys, join_type="inner", right_suffix="_shown")
    assert len(joined) == len(clicked)
    assert pc.all(pc.greater(joined["event_timestamp"], joined["event_timestamp_shown"])).as_py()


def test_a_slate_has_different_items_at_positions_from_one_on(log: pa.Table):
    slates: dict[str, list[tuple[int, str]]] = {}
    shown = of(log, EventType.IMPRESSION)
    columns = (shown[name].to_pylist() for name in ("request_id", "position", "item_id"))
    for request, position, item in zip(*columns, strict=True):
        slates.setdefault(request, []).append((position, item))
    for slate in slates.values():
        assert sorted(position for position, _ in slate) == list(range(1, len(slate) + 1))
        assert len({item for _, item in slate}) == len(slate)


def test_sessions_are_one_users_events_without_a_gap_of_half_an_hour(log: pa.Table):
    rows = log.filter(pc.is_valid(log["session_id"])).sort_by(
        [("user_id", "ascending"), ("event_timestamp", "ascending")]
    )
    columns = ("user_id", "session_id", "event_timestamp")
    events = list(zip(*(rows[name].to_pylist() for name in columns), strict=True))
    for (user, session, at), (next_user, next_session, then) in pairwise(events):
        if user == next_user:
            assert (session == next_session) == (then - at <= SESSION_GAP)
        else:
            assert session != next_session


def test_a_days_rows_stand_in_order_of_time(shop: Shop):
    events = shop.events(shop.days[5])
    clean = events.slice(0, len(events) - sum(shop.planted_dirt(shop.days[5]).values()))
    times = clean["event_timestamp"].to_pylist()
    assert times == sorted(times)


def test_the_shop_goes_on_after_its_last_day(shop: Shop):
    later = shop.days[-1] + timedelta(days=30)
    assert len(shop.events(later)) > 300
    assert len(shop.users(later)) > len(shop.users(shop.days[-1]))
    assert len(shop.items(later)) > len(shop.items(shop.days[-1]))


def test_nothing_happens_before_the_shop_opens(shop: Shop):
    with pytest.raises(ValueError, match="opened on 2026-02-16"):
        shop.events(date(2026, 2, 15))


def test_prices_paid_are_the_days_prices(shop: Shop, log: pa.Table):
    bought = of(log, EventType.PURCHASE)
    for day in shop.days:
        items = shop.items(day)
        prices = dict(
            zip(items["item_id"].to_pylist(), items["price_cents"].to_pylist(), strict=True)
        )
        today = bought.filter(pc.equal(bought["day"], pa.scalar(day)))
        paid = zip(today["item_id"].to_pylist(), today["unit_price_cents"].to_pylist(), strict=True)
        assert all(prices[item] == price for item, price in paid)


@pytest.mark.slow
def test_the_base_shop_is_as_large_as_it_says():
    shop = simulate(PRESETS["base"], seed=7)
    impressions = sum(len(of(shop.events(day), EventType.IMPRESSION)) for day in shop.days)
    assert 270_000 < impressions < 330_000
    assert len(shop.users(shop.days[-1])) == 3_000
    assert len(shop.items(shop.days[-1])) == 2_000

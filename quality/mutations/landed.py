"""What goes wrong in the lake: a connector's bug, another writer, a day put where it is not."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

import polars as pl

from quality.mutations.kinds import Answer, Change, Mutation, Where
from quality.mutations.rows import marked, spoiled


def _rule(by: str, plants: str, change: Change, *, table: str = "events") -> Mutation:
    return Mutation(
        by.replace(".", "_"), plants, Where.LAKE, Answer.STOPPED, by, table=table, change=change
    )


def _one(
    kind: str, *, table: str = "events", **wrong: object
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """One more row like the first of its kind, with one thing wrong."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        good = rows.filter(pl.col("event_type") == kind) if table == "events" else rows
        row = marked(good.sort(good.columns[0]).head(1), table)
        return pl.concat([rows, spoiled(row, **wrong)], how="vertical_relaxed").cast(rows.schema)

    return change


def _last_second_of_yesterday(rows: pl.DataFrame) -> pl.DataFrame:
    """A view of 23:59:59, half a second before another of the same user: one session over both."""
    view = rows.filter(pl.col("event_type") == "view").sort("event_id").head(1)
    day = view.item(0, "event_timestamp").date()
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    moments = [midnight - timedelta(seconds=1), midnight + timedelta(seconds=1)]
    twice = pl.concat([view, view]).with_columns(
        event_timestamp=pl.Series(moments).cast(rows.schema["event_timestamp"])
    )
    return pl.concat([rows, marked(twice, "events")])


def _accepted_and_refused(rows: pl.DataFrame) -> pl.DataFrame:
    """An id that lands twice; its second row is about an item that nobody knows."""
    view = rows.filter(pl.col("event_type") == "view").sort("event_id").head(1)
    return pl.concat([rows, spoiled(view, item_id="i999999")])


def _refused_again(rows: pl.DataFrame) -> pl.DataFrame:
    """The id of an event that was refused the day before is refused again."""
    view = rows.filter(pl.col("event_type") == "view").sort("event_id").head(1)
    return pl.concat([rows, spoiled(view, event_id="orphan-0", item_id="i999999")])


def gone(table: str, *, where: Where = Where.NOWHERE) -> Mutation:
    """A table without any day; its history is checked. ``table``: as it is asked for."""
    suite = "judged_events" if table == "events" else table.rpartition(".")[2]
    shop = "online_retail" if suite == "transactions" else "files"
    return Mutation(
        f"{suite}_days",
        f"no day of {table} is left",
        where,
        Answer.STOPPED,
        f"{suite}.days",
        table=table,
        shop=shop,
    )


LANDED: Final = (
    _rule(
        "events.price_cents_min",
        "a return at less than nothing",
        _one("return", unit_price_cents=-1),
    ),
    _rule("events_quantity_is_not_negative", "minus one piece", _one("add_to_cart", quantity=-1)),
    _rule("events_positions_count_from_one", "a position 0", _one("impression", position=0)),
    _rule(
        "events_types_are_known",
        "an event of a kind nobody knows",
        _one("view", event_type="wishlist"),
    ),
    _rule(
        "events_stand_on_their_day",
        "yesterday's last second among today's events",
        _last_second_of_yesterday,
    ),
    _rule(
        "int_landed_events_grain",
        "an id twice, once accepted and once refused",
        _accepted_and_refused,
    ),
    _rule("rejected_events_grain", "an id that is refused on two days", _refused_again),
    _rule(
        "items.price_cents_min",
        "an item at less than nothing",
        _one("", table="items", price_cents=-1),
        table="items",
    ),
)

TABLES: Final = (
    "files.events",
    "files.items",
    "files.users",
    "online_retail.transactions",
    "events",
    "user_features",
    "item_features",
    "user_history",
    "retrieval_examples",
    "ranking_examples",
)
GONE: Final = tuple(gone(table) for table in TABLES)

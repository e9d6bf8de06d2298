"""What goes wrong in a delivery, one fault for each rule that no listed fault is about."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import polars as pl

from quality.mutations.deliveries import IMPRESSIONS, PURCHASES, SEARCHES
from quality.mutations.kinds import Answer, Deliver, Delivery, Mutation, Where
from quality.mutations.rows import all_rows, copies, renamed, some, spoiled

_RETURNS: Final = pl.col("event_type") == "return"


def _rule(by: str, plants: str, deliver: Deliver) -> Mutation:
    name = by.replace(".", "_")
    return Mutation(name, plants, Where.SOURCE, Answer.STOPPED, by, deliver=deliver)


def _row_rule(by: str, plants: str, deliver: Deliver, *, count: int = 5) -> Mutation:
    return Mutation(by, plants, Where.SOURCE, Answer.QUARANTINED, by, deliver=deliver, count=count)


def _lost(suite: str, column: str, *, since: str) -> Mutation:
    return _rule(
        f"{suite}.{column}_filled_share{since}",
        f"{suite}: {column} has another name",
        renamed(suite, column, f"x{abs(hash_of(column))}"),
    )


def hash_of(name: str) -> int:
    """A number that no column's name resembles, so that nobody guesses what was meant."""
    return sum(ord(letter) * place for place, letter in enumerate(name, start=7))


def _few_users(day: Delivery) -> Delivery:
    """All events come from six users, none of them busier than a person can be."""
    six = pl.col("user_id").hash(seed=5).mod(6).cast(pl.String)
    user = pl.concat_str(pl.lit("u"), six)
    return day.but("events", spoiled(day.tables["events"], user_id=user))


def _with_a_field_too_many(day: Delivery) -> Delivery:
    """A CSV file in which one value holds an unquoted comma."""
    return replace(day.written_as("events", "csv"), broken_line="zz-0,click,a,b")


def _id_of_the_shop(day: Delivery) -> Delivery:
    """The storefront logs an event under an id that the shop has given too."""
    view = day.tables["events"].filter(pl.col("event_type") == "view").sort("event_id").head(1)
    (row,) = view.to_dicts()
    noon = datetime.combine(day.day, time(12), tzinfo=UTC)
    line = {
        "event_id": row["event_id"],
        "event_type": "view",
        "event_timestamp": noon.isoformat(),
        "user_id": row["user_id"],
        "item_id": row["item_id"],
    }
    return replace(day, log=(line,))


def _empty(table: str) -> Deliver:
    return lambda day: day.but(table, day.tables[table].clear()).written_as(table, "csv")


def _most_of(table: str) -> Deliver:
    return lambda day: day.but(table, day.tables[table].head(int(0.8 * len(day.tables[table]))))


def _scheme(column: str) -> pl.Expr:
    return pl.concat_str(pl.lit("shop/"), pl.col(column))


ROWS: Final = (
    _row_rule("nul_byte", "a NUL in a text", copies(5, where=SEARCHES, query_text="la\x00mp")),
    _row_rule(
        "text_too_long",
        "a query of 20,000 letters",
        copies(2, where=SEARCHES, query_text="x" * 20_000),
        count=2,
    ),
    _row_rule(
        "implausible_past",
        "events of a clock that was never set",
        copies(5, event_timestamp=datetime(1970, 1, 1, 0, 5, tzinfo=UTC)),
    ),
    _row_rule("negative_quantity", "minus two pieces", copies(5, where=PURCHASES, quantity=-2)),
    _row_rule(
        "position_below_one",
        "positions that count from 0",
        copies(5, where=IMPRESSIONS, position=0),
    ),
    _row_rule(
        "propensity_out_of_range",
        "a propensity of 150 %",
        copies(5, where=IMPRESSIONS, propensity=1.5),
    ),
    _row_rule(
        "unreadable_record",
        "a line with the wrong number of fields",
        _with_a_field_too_many,
        count=1,
    ),
)

EVENTS: Final = (
    _rule("events.user_count_to_usual", "the ids of all users became six", _few_users),
    _rule(
        "events.price_cents_max",
        "the price of a return slipped its comma",
        copies(1, where=_RETURNS, unit_price_cents=10_000_001),
    ),
    _rule(
        "events.quantity_max",
        "more pieces than anybody ever gave back",
        copies(1, where=_RETURNS, quantity=100_001),
    ),
    _rule(
        "events.price_cents_median_to_usual",
        "the prices of most tills in pounds where cents are read",
        all_rows(
            unit_price_cents=pl.when(pl.col("user_id").hash(seed=1).mod(10) < 7)
            .then(pl.col("unit_price_cents") // 100)
            .otherwise(pl.col("unit_price_cents"))
        ),
    ),
    _rule(
        "judged_events.unknown_item_share",
        "a third of the events are about items that no catalog has",
        all_rows(
            item_id=pl.when(some(0.33))
            .then(pl.concat_str(pl.lit("x"), pl.col("item_id")))
            .otherwise(pl.col("item_id"))
        ),
    ),
    _rule("events_grain", "a storefront event under an id of the shop", _id_of_the_shop),
    *(
        _lost("events", column, since="_to_usual")
        for column in (
            "session_id",
            "request_id",
            "surface",
            "position",
            "query_text",
            "quantity",
            "propensity",
        )
    ),
)

ITEMS: Final = (
    _rule("items.row_count", "a catalog without an item", _empty("items")),
    _rule("items.row_count_to_last", "four fifths of the catalog", _most_of("items")),
    _rule(
        "items.new_item_share",
        "the catalog has another way of writing its ids",
        all_rows("items", item_id=_scheme("item_id")),
    ),
    _rule(
        "items.price_cents_max",
        "a price that slipped its comma",
        copies(1, of="items", price_cents=10_000_001),
    ),
    _rule(
        "items.price_cents_median_to_last",
        "the catalog's prices in cents of cents",
        all_rows("items", price_cents=pl.col("price_cents") * 100),
    ),
    _rule(
        "items.title_length_mean",
        "codes for titles",
        all_rows("items", title=pl.col("title").str.slice(0, 2)),
    ),
    _rule(
        "items_go_after_they_come",
        "an item that leaves before it comes",
        copies(1, of="items", available_until_date=pl.col("available_from_date") - timedelta(1)),
    ),
    *(
        _lost("items", column, since="_to_last")
        for column in (
            "description",
            "category",
            "brand",
            "price_cents",
            "image_url",
            "available_from_date",
        )
    ),
)

USERS: Final = (
    _rule("users.row_count", "a list of users without a user", _empty("users")),
    _rule("users.row_count_to_last", "four fifths of the users", _most_of("users")),
    _rule(
        "users.new_user_share",
        "the list has another way of writing its ids",
        all_rows("users", user_id=_scheme("user_id")),
    ),
    _rule(
        "users.future_signup_share",
        "a user who signs up in a thousand years",
        copies(1, of="users", signup_date=date(2999, 1, 1)),
    ),
    *(_lost("users", column, since="_to_last") for column in ("segment", "country", "signup_date")),
)

# What only more careful bounds let through: the examples have checks of their own.
EXAMPLES: Final = (
    _rule(
        "ranking_examples.propensity_min",
        "the impressions of one user at a propensity of one in a million",
        all_rows(
            propensity=pl.when(pl.col("user_id") == pl.col("user_id").min())
            .then(pl.lit(1e-6))
            .otherwise(pl.col("propensity"))
        ),
    ),
)

FINER: Final = (*ROWS, *EVENTS, *ITEMS, *USERS, *EXAMPLES)

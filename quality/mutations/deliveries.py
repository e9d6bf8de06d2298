"""What goes wrong in some rows of a delivery: they are set aside, and the day goes on."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from quality.mutations.kinds import Answer, Delivery
from quality.mutations.rows import copies, listed, marked, typed

SEARCHES: Final = pl.col("event_type") == "search"
PURCHASES: Final = pl.col("event_type") == "purchase"
IMPRESSIONS: Final = pl.col("event_type") == "impression"


def _bot(day: Delivery) -> Delivery:
    """50 clicks a second for ten seconds, by a user nobody knows."""
    noon = datetime.combine(day.day, datetime.min.time()) + timedelta(hours=12)
    steps = pl.DataFrame({"n": range(500)})
    moment = pl.lit(noon) + pl.duration(milliseconds=20 * pl.col("n"))
    click = day.tables["events"].filter(pl.col("event_type") == "click").head(1)
    rows = click.drop("event_timestamp").join(steps, how="cross")
    stamped = rows.with_columns(
        event_timestamp=moment.dt.replace_time_zone("UTC").dt.cast_time_unit("us"),
        user_id=pl.lit("robot"),
    )
    return day.plus("events", marked(stamped.drop("n"), "events").select(click.columns))


def _again(day: Delivery) -> Delivery:
    return replace(day, files={"events_again": day.earlier["events"]})


def _again_with_other_ids(day: Delivery) -> Delivery:
    return replace(day, files={"events_again": marked(day.earlier["events"], "events")})


def _halves(day: Delivery) -> Delivery:
    """Quantities as floats, half pieces among them: the whole ones mean what they meant."""
    planted = copies(5, where=PURCHASES, quantity=1.5)
    return planted(typed("events", quantity=pl.Float64())(day))


def _beyond(day: Delivery) -> Delivery:
    planted = copies(5, where=PURCHASES, quantity=5_000_000_000)
    return planted(typed("events", quantity=pl.Int64())(day))


def _in_milliseconds(moment: pl.Expr) -> pl.Expr:
    """The milliseconds since 1970, taken for seconds."""
    return (moment.dt.epoch("ms") * 1_000_000).cast(pl.Datetime("us", "UTC"))


DELIVERIES: Final = (
    listed(
        "null_user_ids",
        "events without a user",
        Answer.QUARANTINED,
        "missing_value",
        copies(20, user_id=pl.lit(None, pl.String)),
        count=20,
    ),
    listed(
        "null_item_ids",
        "clicks on nothing",
        Answer.QUARANTINED,
        "missing_item",
        copies(20, where=pl.col("event_type") == "click", item_id=pl.lit(None, pl.String)),
        count=20,
    ),
    listed(
        "same_id_twice",
        "events that came twice, id and all",
        Answer.COUNTED,
        "duplicate",
        lambda day: day.plus("events", day.tables["events"].head(50)),
        count=50,
    ),
    listed(
        "same_content_under_a_new_id",
        "events sent again by a client that made new ids",
        Answer.REJECTED,
        "repeated",
        lambda day: day.plus("events", marked(day.tables["events"].head(50), "events")),
        count=50,
    ),
    listed(
        "file_replayed",
        "yesterday's whole file beside today's",
        Answer.COUNTED,
        "duplicate",
        _again,
    ),
    listed(
        "file_replayed_under_new_ids",
        "yesterday's whole file again, with new ids",
        Answer.REJECTED,
        "repeated",
        _again_with_other_ids,
    ),
    listed(
        "events_of_tomorrow",
        "events that have not happened yet",
        Answer.QUARANTINED,
        "future_timestamp",
        copies(
            20,
            where=pl.col("event_timestamp").dt.hour() >= 4,
            event_timestamp=pl.col("event_timestamp") + timedelta(days=1),
        ),
        count=20,
    ),
    listed(
        "epoch_milliseconds_of_one_app",
        "the same in some rows",
        Answer.QUARANTINED,
        "unparsable_timestamp",
        copies(20, event_timestamp=_in_milliseconds(pl.col("event_timestamp"))),
        count=20,
    ),
    listed(
        "negative_price",
        "purchases that pay the buyer",
        Answer.QUARANTINED,
        "negative_price",
        copies(5, where=PURCHASES, unit_price_cents=-pl.col("unit_price_cents")),
        count=5,
    ),
    listed(
        "orphan_items",
        "clicks on items that no catalog has",
        Answer.REJECTED,
        "unknown_item",
        copies(20, where=pl.col("event_type") == "click", item_id="i999999"),
        count=20,
    ),
    listed(
        "widened_type",
        "quantities are floats, some of half a piece",
        Answer.QUARANTINED,
        "unparsable_number",
        _halves,
        count=5,
    ),
    listed(
        "widened_beyond_the_type",
        "quantities are 64 bits wide and use them",
        Answer.QUARANTINED,
        "unparsable_number",
        _beyond,
        count=5,
    ),
    listed(
        "new_event_type",
        "events of a kind nobody knows",
        Answer.QUARANTINED,
        "unknown_event_type",
        copies(20, event_type="wishlist"),
        count=20,
    ),
    listed("bot", "50 clicks a second, for ten seconds", Answer.REJECTED, "bot", _bot, count=500),
    listed(
        "e_mail_in_a_query",
        "searches for an e-mail address",
        Answer.QUARANTINED,
        "personal_data",
        copies(5, where=SEARCHES, query_text="lamp for jo@example.org"),
        count=5,
    ),
    listed(
        "card_number_in_a_query",
        "searches for a payment card",
        Answer.QUARANTINED,
        "personal_data",
        copies(5, where=SEARCHES, query_text="4111 1111-1111 1111"),
        count=5,
    ),
    listed(
        "e_mail_in_a_description",
        "items that tell whom to write to",
        Answer.QUARANTINED,
        "personal_data",
        copies(2, of="items", description="ask jo@example.org"),
        count=2,
    ),
    listed(
        "decomposed_user_ids",
        "ids that look like a user's and are not (NFD)",
        Answer.QUARANTINED,
        "decomposed_id",
        copies(
            20,
            where=pl.col("user_id").str.starts_with("ü"),
            user_id=pl.col("user_id").str.normalize("NFD"),
        ),
        count=20,
    ),
)

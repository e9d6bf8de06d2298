"""What goes wrong with a whole delivery: the day stops, or lands as what it means."""

from dataclasses import replace
from typing import Final

import polars as pl

from quality.mutations.deliveries import IMPRESSIONS, PURCHASES
from quality.mutations.kinds import Answer, Deliver, Delivery
from quality.mutations.rows import all_rows, copies, listed, renamed, some, times, typed


def _without(table: str) -> Deliver:
    return lambda day: replace(
        day, tables={name: rows for name, rows in day.tables.items() if name != table}
    )


def _only(table: str, rows: pl.Expr) -> Deliver:
    return lambda day: day.but(table, day.tables[table].filter(rows))


def _two_fifths_of_the_users(day: Delivery) -> Delivery:
    """Whole users, until they have two fifths of the rows."""
    rows = day.tables["events"]
    users = rows.group_by("user_id").len().sort("user_id")
    kept = users.filter(pl.col("len").cum_sum() <= 0.4 * len(rows))
    return day.but("events", rows.join(kept, on="user_id", how="semi"))


def _first_half(day: Delivery) -> Delivery:
    """A CSV file that ends in the middle, at the end of a line."""
    ordered = day.tables["events"].sort("event_timestamp")
    return day.but("events", ordered.head(len(ordered) // 2)).written_as("events", "csv")


def _in_milliseconds(moment: pl.Expr) -> pl.Expr:
    """The milliseconds since 1970, taken for seconds."""
    return (moment.dt.epoch("ms") * 1_000_000).cast(pl.Datetime("us", "UTC"))


_NUMBER: Final = pl.col("item_id").str.extract(r"(\d+)").cast(pl.Int64)


DAYS: Final = (
    listed(
        "yesterdays_file_as_todays",
        "yesterday's file under today's name",
        Answer.STOPPED,
        "events.row_count",
        lambda day: day.but("events", day.earlier["events"]),
        error="EmptyDayError",
    ),
    listed(
        "epoch_milliseconds",
        "a file whose moments are milliseconds where seconds are read",
        Answer.STOPPED,
        "BadInputError",
        all_rows(event_timestamp=_in_milliseconds(pl.col("event_timestamp"))),
    ),
    listed(
        "cents_for_pounds",
        "every price times 100",
        Answer.STOPPED,
        "events.price_cents_median_to_usual",
        all_rows(unit_price_cents=pl.col("unit_price_cents") * 100),
    ),
    listed(
        "cents_for_pounds_in_a_quarter",
        "the prices of one till times 100",
        Answer.STOPPED,
        "events.price_cents_upper_to_usual",
        all_rows(
            unit_price_cents=pl.when(pl.col("user_id").hash(seed=1).mod(4) == 0)
            .then(pl.col("unit_price_cents") * 100)
            .otherwise(pl.col("unit_price_cents"))
        ),
    ),
    listed(
        "quantity_of_a_billion",
        "one purchase of 10^9 pieces",
        Answer.STOPPED,
        "events.quantity_max",
        copies(1, where=PURCHASES, quantity=1_000_000_000),
    ),
    listed(
        "sixty_percent_missing",
        "60 % of the rows, here and there",
        Answer.STOPPED,
        "events.row_count_surprise",
        _only("events", ~some(0.6)),
        error="PartialFeedError",
    ),
    listed(
        "sixty_percent_of_users_missing",
        "the users of 60 % of the shards",
        Answer.STOPPED,
        "events.row_count_surprise",
        _two_fifths_of_the_users,
        error="PartialFeedError",
    ),
    listed(
        "empty_day",
        "a file of the day with a header and no row",
        Answer.STOPPED,
        "events.row_count",
        lambda day: day.but("events", day.tables["events"].clear()).written_as("events", "csv"),
        error="EmptyDayError",
    ),
    listed(
        "missing_feed",
        "no file of the day at all",
        Answer.STOPPED,
        "events.row_count",
        _without("events"),
        error="MissingFeedError",
    ),
    listed(
        "ten_times_the_day",
        "ten times the rows, of ten times the users",
        Answer.STOPPED,
        "events.row_count_surprise",
        lambda day: day.but("events", times(day.tables["events"], "events", 10)),
    ),
    listed(
        "renamed_column",
        "item_id is called product",
        Answer.STOPPED,
        "BadInputError",
        renamed("events", "item_id", "product"),
    ),
    listed(
        "renamed_optional_column",
        "unit_price_cents is called amount",
        Answer.STOPPED,
        "events.unit_price_cents_filled_share_to_usual",
        renamed("events", "unit_price_cents", "amount"),
    ),
    listed(
        "widened_harmlessly",
        "whole numbers are written as floats",
        Answer.AS_IT_WAS,
        "nothing",
        typed("events", quantity=pl.Float64(), position=pl.Int64()),
    ),
    listed(
        "narrowed_moments",
        "moments became days",
        Answer.STOPPED,
        "events.last_hour_change",
        all_rows(event_timestamp=pl.col("event_timestamp").dt.date()),
    ),
    listed(
        "narrowed_ids",
        "item ids became numbers and lost their letters and zeros",
        Answer.STOPPED,
        "judged_events.unknown_item_share",
        all_rows(item_id=_NUMBER),
    ),
    listed(
        "new_category",
        "every category of the catalog has a new name",
        Answer.STOPPED,
        "items.new_category_share",
        all_rows("items", category=pl.concat_str(pl.lit("New "), pl.col("category"))),
    ),
    listed(
        "new_surface",
        "impressions in a place nobody knows",
        Answer.STOPPED,
        "events_surfaces_are_known",
        copies(20, where=IMPRESSIONS, surface="popup"),
    ),
    listed(
        "file_cut",
        "a Parquet file cut in the middle",
        Answer.STOPPED,
        "BadInputError",
        lambda day: day.written_as("events", "parquet", kept=0.5),
    ),
    listed(
        "csv_cut",
        "a CSV file cut in the middle of a line",
        Answer.STOPPED,
        "BadInputError",
        lambda day: day.written_as("events", "csv", kept=0.5),
    ),
    listed(
        "json_lines_cut",
        "a file of JSON lines cut in the middle of one",
        Answer.STOPPED,
        "BadInputError",
        lambda day: day.written_as("events", "jsonl", kept=0.5),
    ),
    listed(
        "csv_cut_at_a_line",
        "the first half of the day, whole lines",
        Answer.STOPPED,
        "events.last_hour_change",
        _first_half,
        error="PartialFeedError",
    ),
    listed(
        "decomposed_titles",
        "titles in the other spelling (NFD)",
        Answer.AS_IT_WAS,
        "nothing",
        all_rows("items", title=pl.col("title").str.normalize("NFD")),
    ),
)

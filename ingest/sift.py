"""Raw rows in; fit rows and refused rows out, a batch at a time. No files here."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import polars as pl
import pyarrow as pa
from polars import selectors

from ingest import content, rules
from ingest.casting import typed
from ingest.personal import masked
from ingest.raw import OWN
from ingest.rules import ID_COLUMN, RAW, TIME_COLUMN

DAY: Final = "_day"
CONTENT: Final = "_content"


@dataclass(frozen=True)
class Judged:
    """A batch of rows, typed, with their ``_day`` (null: unknown) and ``reason`` (null: fit)."""

    table: rules.Table
    rows: pl.DataFrame

    def rows_in(self) -> Counter[date | None]:
        """How many rows each day has, fit or not."""
        return Counter(dict(self.rows.group_by(DAY).len().iter_rows()))

    def refused_by_reason(self) -> Counter[tuple[date | None, str]]:
        """How many rows of each day were refused, and why."""
        bad = self.rows.filter(pl.col("reason").is_not_null())
        counted = bad.group_by(DAY, "reason").len().iter_rows()
        return Counter({(day, reason): count for day, reason, count in counted})

    def due(self) -> datetime | None:
        """From when on a row that is refused because it has not happened yet would be fit."""
        if self.table.name not in TIME_COLUMN:
            return None
        moment = pl.col(TIME_COLUMN[self.table.name])
        is_future = pl.col("reason") == rules.future_timestamp.__name__
        # A row from after the day on which it arrived stays refused.
        may_pass = (moment.dt.date() <= pl.col("_arrived")).fill_null(True)
        first = self.rows.filter(is_future & may_pass).select(moment.min()).item()
        return first and first - rules.CLOCK_SKEW

    def fit(self) -> pl.DataFrame:
        """The schema's columns, ``_day``, and the whole row's ``_content``; ids are filled in."""
        names, key = self.table.schema.names, ID_COLUMN[self.table.name]
        fit = self.rows.filter(pl.col("reason").is_null()).select(*names, DAY)
        missing = fit.get_column(key).is_null()
        if missing.any():
            made = content.ids(content.text(fit.filter(missing), [n for n in names if n != key]))
            filled = fit.get_column(key).scatter(missing.arg_true(), made)
            fit = fit.with_columns(filled)
        return fit.with_columns(content.text(fit, names).alias(CONTENT))

    def refused(self) -> pl.DataFrame:
        """``row`` (JSON), ``reason``, ``line`` and ``_day``.

        As it came, but without e-mail addresses and card numbers: no fault needs them to be seen.
        """
        bad, table = self.rows.filter(pl.col("reason").is_not_null()), self.table
        typed_in = [RAW + name for name in rules.FREE_TEXT.get(table.name, ())]
        texts = [name for name in (*typed_in, "_text") if bad.schema[name] == pl.String]
        bad = bad.with_columns(
            pl.col(texts).map_batches(masked, return_dtype=pl.String),
            # One moment beyond the calendar makes text of its batch's column (ingest.parquet).
            (selectors.starts_with(RAW) & selectors.date()).dt.to_string("iso:strict"),
            (selectors.starts_with(RAW) & selectors.datetime()).dt.to_string("iso:strict"),
        )
        values = [pl.col(RAW + name).alias(name) for name in table.schema.names]
        unread = pl.struct(pl.col("_text").alias("text")).struct.json_encode()
        whole = pl.struct(values).struct.json_encode()
        row = pl.when(pl.col("_text").is_not_null()).then(unread).otherwise(whole)
        return bad.select(row.alias("row"), "reason", pl.col("_line").alias("line"), DAY)


def judge(raw: pl.DataFrame, *, table: str, schema: pa.Schema, now: datetime) -> Judged:
    """Type every value and find each row's reason, if it has one, and its day.

    A row's day is the UTC day it happened, also when it came late; a row whose moment cannot be
    believed keeps the day on which it arrived, if the source knows that.
    """
    about = rules.Table(table, schema, dict(raw.schema), now)
    side_by_side = pl.concat(
        [
            typed(raw, schema),
            raw.select(pl.col(schema.names).name.prefix(RAW)),
            raw.select(list(OWN)),
        ],
        how="horizontal",
    ).with_columns(rules.reason(about))
    day = pl.col("_arrived")
    if table in TIME_COLUMN:
        doubtful = pl.col("reason").is_in(
            [rules.future_timestamp.__name__, rules.implausible_past.__name__]
        )
        happened = pl.col(TIME_COLUMN[table]).dt.date()
        day = pl.when(doubtful.fill_null(False)).then(day).otherwise(pl.coalesce(happened, day))
    return Judged(about, side_by_side.with_columns(day.alias(DAY)))

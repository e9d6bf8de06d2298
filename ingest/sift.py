"""Raw rows in; landed rows, quarantined rows and their counts by day out. No files here.

For every day and in total: rows in = landed + duplicate + quarantined.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Final

import polars as pl
import pyarrow as pa

from ingest import content, rules
from ingest.casting import kind_of, typed
from ingest.ledger import Entry
from ingest.personal import masked
from ingest.raw import OWN
from ingest.rules import ID_COLUMN, RAW, TIME_COLUMN

DAY: Final = "_day"
COUNTS: Final = ("rows_in", "rows_landed", "rows_duplicate", "rows_quarantined")


@dataclass(frozen=True)
class Judged:
    """Every raw row, typed, with its ``_day`` (null: unknown) and ``reason`` (null: fit)."""

    table: rules.Table
    rows: pl.DataFrame

    def rows_in(self) -> dict[date | None, int]:
        """How many rows each day has, fit or not."""
        return dict(self.rows.group_by(DAY).len().iter_rows())


@dataclass(frozen=True)
class Sifted:
    """The days that were asked for.

    Attributes:
        landed: The schema's columns, ``_content`` and ``_day``; sorted by day and id.
        quarantined: ``row`` (JSON), ``reason``, ``line``, ``_day``; sorted.
        counts: day → the four numbers of ``COUNTS``.
    """

    landed: pl.DataFrame
    quarantined: pl.DataFrame
    counts: dict[date | None, dict[str, int]]

    def by_day(self) -> Iterator[tuple[date | None, pl.DataFrame]]:
        """Each day with its landed rows; known days first, oldest first."""
        spans, start = {}, 0
        for day, length in self.landed.group_by(DAY, maintain_order=True).len().iter_rows():
            spans[day] = (start, length)
            start += length
        for day in sorted(self.counts, key=lambda day: day or date.max):
            yield day, self.landed.slice(*spans.get(day, (0, 0)))

    @cached_property
    def entries(self) -> dict[date | None, Entry]:
        """What the ledger says of each day."""
        return {
            day: Entry(day, content_hash=content.day_hash(rows["_content"]), **self.counts[day])
            for day, rows in self.by_day()
        }

    def only(self, days: Set[date | None]) -> "Sifted":
        """The same, of some of the days."""
        chosen = _among(days)
        return Sifted(
            self.landed.filter(chosen),
            self.quarantined.filter(chosen),
            {day: counts for day, counts in self.counts.items() if day in days},
        )


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


def sift(judged: Judged, days: Set[date | None]) -> Sifted:
    """Split the rows of ``days`` into landed, duplicate and quarantined.

    The same id twice is a duplicate wherever the other one stands: ids a source gives are compared
    over all days (the earliest row lands, the smallest content among equals), and an id made from
    the content carries its moment, so the other one stands on the same day.
    """
    chosen = _among(days)
    fit = judged.rows.filter(pl.col("reason").is_null())
    if not _has_own_ids(judged):
        fit = fit.filter(chosen)
    landed = _without_duplicates(_with_ids(fit, judged.table), judged.table).filter(chosen)
    rows = judged.rows.filter(chosen)
    bad = _quarantined(rows.filter(pl.col("reason").is_not_null()), judged.table)
    return Sifted(landed, bad, _counts(rows, landed, days))


def _among(days: Set[date | None]) -> pl.Expr:
    known = pl.col(DAY).is_in([day for day in days if day is not None]).fill_null(False)
    return known | pl.col(DAY).is_null() if None in days else known


def _has_own_ids(judged: Judged) -> bool:
    return judged.rows.get_column(ID_COLUMN[judged.table.name]).is_not_null().any()


def _with_ids(fit: pl.DataFrame, table: rules.Table) -> pl.DataFrame:
    """Fill the ids that the source has not, and add the row's whole ``_content``."""
    names, key = table.schema.names, ID_COLUMN[table.name]
    fit = fit.select(*names, DAY)
    missing = fit.get_column(key).is_null()
    if missing.any():
        made = content.ids(content.text(fit.filter(missing), [n for n in names if n != key]))
        filled = fit.get_column(key).scatter(missing.arg_true(), made)
        fit = fit.with_columns(filled)
    return fit.with_columns(content.text(fit, names).alias("_content"))


def _without_duplicates(fit: pl.DataFrame, table: rules.Table) -> pl.DataFrame:
    """One row an id (users and items: one a day and id), whatever the order of the rows was."""
    key, moment = ID_COLUMN[table.name], TIME_COLUMN.get(table.name)
    same = [key] if moment else [DAY, key]
    first = [*same, *([moment] if moment else []), "_content"]
    return fit.sort(first).unique(same, keep="first", maintain_order=True).sort([DAY, key])


def _quarantined(bad: pl.DataFrame, table: rules.Table) -> pl.DataFrame:
    """As it came, but without e-mail addresses and card numbers: no fault needs them to be seen."""
    typed_in = [RAW + name for name in rules.FREE_TEXT.get(table.name, ())]
    texts = [name for name in (*typed_in, "_text") if bad.schema[name] == pl.String]
    bad = bad.with_columns(pl.col(texts).map_batches(masked, return_dtype=pl.String))
    values = [pl.col(RAW + name).alias(name) for name in table.schema.names]
    unread = pl.struct(pl.col("_text").alias("text")).struct.json_encode()
    whole = pl.struct(values).struct.json_encode()
    row = pl.when(pl.col("_text").is_not_null()).then(unread).otherwise(whole)
    kept = bad.select(row.alias("row"), "reason", pl.col("_line").alias("line"), DAY)
    return kept.sort(DAY, "reason", "row", "line", nulls_last=True)


def _counts(
    rows: pl.DataFrame, landed: pl.DataFrame, days: Set[date | None]
) -> dict[date | None, dict[str, int]]:
    bad = rows.filter(pl.col("reason").is_not_null())
    came, stayed, aside = (dict(f.group_by(DAY).len().iter_rows()) for f in (rows, landed, bad))
    numbers = {}
    for day in days:
        total, kept, refused = (n.get(day, 0) for n in (came, stayed, aside))
        numbers[day] = dict(
            zip(COUNTS, (total, kept, total - kept - refused, refused), strict=True)
        )
    return numbers


def empty_landed(schema: pa.Schema) -> pl.DataFrame:
    """No rows, in the landed types."""
    return pl.DataFrame(schema={field.name: kind_of(field) for field in schema})

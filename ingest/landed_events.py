"""The landed rows of a shop, read as events without dbt.

For proofs: whoever doubts the warehouse must not ask it. A shop's own columns are known here and in
dbt's staging, and the two know nothing of each other.
"""

from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final

import polars as pl

from domain.events import Source

COLUMNS: Final = (
    "event_id",
    "event_type",
    "event_timestamp",
    "user_id",
    "item_id",
    "quantity",
    "unit_price_cents",
)
_CENT: Final = Decimal("0.01")


def landed_events(lake: Path, source: Source) -> pl.DataFrame:
    """Every landed row that says something happened, accepted or not: ``COLUMNS``, in no order.

    Empty, and without types, where nothing was landed.
    """
    is_lines = source is Source.ONLINE_RETAIL
    table = "transactions" if is_lines else "events"
    files = sorted((lake / source / table).glob("event_date=*/part.parquet"))
    if not files:
        return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Null))
    rows = pl.read_parquet(files, hive_partitioning=False)
    return (_as_events(rows) if is_lines else rows).select(COLUMNS)


def _as_events(lines: pl.DataFrame) -> pl.DataFrame:
    """Invoice lines: a C before the number takes back what was bought, the price is in pounds."""
    cents = {pounds: _cents(pounds) for pounds in lines["unit_price"].unique().to_list()}
    return lines.select(
        event_id="line_id",
        event_type=pl.when(pl.col("invoice_no").str.starts_with("C"))
        .then(pl.lit("return"))
        .otherwise(pl.lit("purchase")),
        event_timestamp="invoiced_at",
        user_id="customer_id",
        item_id="stock_code",
        quantity=pl.col("quantity").abs(),
        unit_price_cents=pl.col("unit_price").replace_strict(cents, return_dtype=pl.Int64),
    )


def _cents(pounds: float) -> int:
    """Half a cent goes away from zero; the shortest decimal that is the float was typed."""
    return int(Decimal(repr(pounds)).quantize(_CENT, ROUND_HALF_UP).scaleb(2))

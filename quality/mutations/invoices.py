"""What goes wrong in invoice lines: for the rules of ``quality.suites.transactions``."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

import polars as pl

from quality.mutations.kinds import Answer, Deliver, Delivery, Mutation, Where
from quality.mutations.rows import all_rows, copies, some

_RETURNS: Final = pl.col("invoice_no").str.starts_with("C")


def _rule(by: str, plants: str, deliver: Deliver) -> Mutation:
    return Mutation(
        by.replace(".", "_"),
        plants,
        Where.SOURCE,
        Answer.STOPPED,
        by,
        deliver=deliver,
        shop="online_retail",
    )


def _changed(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Deliver:
    return lambda day: day.but("transactions", change(day.tables["transactions"]))


def _for_some(share: float, **values: pl.Expr) -> Deliver:
    """A share of the lines says something else."""
    changed = {
        name: pl.when(some(share)).then(value).otherwise(pl.col(name))
        for name, value in values.items()
    }
    return all_rows("transactions", **changed)


def _without_the_day(day: Delivery) -> Delivery:
    """The file goes on with tomorrow's first minutes: today had no line."""
    tomorrow = datetime.combine(day.day, time(0, 30), tzinfo=UTC) + timedelta(days=1)
    later = day.tables["transactions"].with_columns(
        invoiced_at=pl.lit(tomorrow).cast(day.tables["transactions"].schema["invoiced_at"])
    )
    return replace(day, tables={"transactions": later})


def _is_wrong(column: str, by: str) -> Mutation:
    return _rule(
        by,
        f"transactions: {column} is empty",
        all_rows("transactions", **{column: pl.lit(None, pl.String)}),
    )


def _row_rule(by: str, plants: str, **wrong: object) -> Mutation:
    """Three lines that are this shop's own dirt."""
    sales = ~_RETURNS
    return Mutation(
        by,
        plants,
        Where.SOURCE,
        Answer.REJECTED,
        by,
        deliver=copies(3, of="transactions", where=sales, **wrong),
        count=3,
        shop="online_retail",
    )


LINES: Final = (
    _row_rule("bad_debt", "lines of an A invoice", invoice_no="A1"),
    _row_rule("not_an_item", "postage", stock_code="POST"),
    _row_rule("write_off", "pieces that were thrown away", quantity=-pl.col("quantity")),
    _row_rule(
        "unclear_sign",
        "cancelled lines that bring something",
        invoice_no=pl.concat_str(pl.lit("C"), pl.col("invoice_no")),
    ),
    _row_rule("no_price", "gifts", unit_price=0.0),
    _row_rule("missing_user", "sales to nobody", customer_id=pl.lit(None, pl.String)),
)

INVOICES: Final = (
    *LINES,
    _rule("transactions.row_count", "a day without a line, and lines after it", _without_the_day),
    _rule(
        "transactions.row_count_surprise",
        "the second half of the lines is missing twice over",
        _changed(lambda rows: rows.filter(~some(0.7))),
    ),
    _rule(
        "transactions.lines_per_invoice_to_usual",
        "all lines stand on three invoices",
        all_rows(
            "transactions",
            invoice_no=(pl.lit("99") + pl.int_range(pl.len()).mod(3).cast(pl.String)),
        ),
    ),
    _rule(
        "transactions.negative_quantity_share",
        "the sign of two fifths is lost",
        _for_some(0.4, quantity=-pl.col("quantity").abs()),
    ),
    _rule(
        "transactions.zero_price_share",
        "a third of the prices are zero",
        _for_some(0.34, unit_price=pl.lit(0.0)),
    ),
    _rule(
        "transactions.price_median_to_usual",
        "half of the prices in pounds for cents",
        _for_some(0.7, unit_price=pl.col("unit_price") / 100),
    ),
    _rule(
        "transactions.price_upper_to_usual",
        "a quarter of the prices in cents",
        _for_some(0.25, unit_price=pl.col("unit_price") * 100),
    ),
    _rule(
        "transactions.price_min",
        "a debt above any debt",
        copies(1, of="transactions", unit_price=-100_001.0),
    ),
    _rule(
        "transactions.price_max",
        "a returned line above any price",
        copies(1, of="transactions", where=_RETURNS, unit_price=100_001.0),
    ),
    _rule(
        "transactions.quantity_max",
        "more pieces than were ever sold",
        copies(1, of="transactions", quantity=100_001, unit_price=0.01),
    ),
    _rule(
        "transactions.last_hour_change",
        "the lines of the morning",
        _changed(lambda rows: rows.sort("invoiced_at").head(len(rows) * 6 // 10)),
    ),
    _is_wrong("description", "transactions.description_filled_share_to_usual"),
    _is_wrong("country", "transactions.country_filled_share_to_usual"),
    _rule(
        "judged_events.accepted_share_to_usual",
        "nine lines in ten have no user",
        _for_some(0.94, customer_id=pl.lit(None, pl.String)),
    ),
)

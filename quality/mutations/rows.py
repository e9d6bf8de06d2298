"""Small steps that mutations are made of: copies of good rows with one thing wrong."""

from datetime import timedelta

import polars as pl

from quality.mutations.kinds import Answer, Deliver, Delivery, Mutation, Where

ID = {"events": "event_id", "items": "item_id", "users": "user_id", "transactions": "line_id"}


def marked(rows: pl.DataFrame, table: str, *, mark: str = "zz") -> pl.DataFrame:
    """The rows under ids of their own, which sort after all others. Invoice lines have no id."""
    key = ID[table]
    if key not in rows.columns:
        return rows
    number = pl.int_range(pl.len()).cast(pl.String)
    return rows.with_columns(pl.concat_str(pl.lit(f"{mark}-"), number).alias(key))


def copies(
    count: int, *, of: str = "events", where: pl.Expr | None = None, **wrong: object
) -> Deliver:
    """Add copies of good rows, each with the same thing wrong.

    Args:
        count: How many; rows are taken in the order of their ids.
        of: The table.
        where: Which rows may be copied.
        wrong: Column → an expression or a value.
    """

    def deliver(day: Delivery) -> Delivery:
        good = day.tables[of]
        good = good.filter(where) if where is not None else good
        some = good.sort(good.columns[0]).head(count)
        return day.plus(of, spoiled(marked(some, of), **wrong))

    return deliver


def all_rows(table: str = "events", **wrong: object) -> Deliver:
    """Every row of a table says so."""
    return lambda day: day.but(table, spoiled(day.tables[table], **wrong))


def spoiled(rows: pl.DataFrame, **wrong: object) -> pl.DataFrame:
    """The rows with other values. A value that is no expression is a literal."""
    values = {
        name: value if isinstance(value, pl.Expr) else pl.lit(value)
        for name, value in wrong.items()
    }
    return rows.with_columns(**values)


def some(share: float) -> pl.Expr:
    """About this share of the rows, the same ones every time, spread over the table."""
    return (pl.int_range(pl.len()) * 37).mod(100) < round(share * 100)


def times(rows: pl.DataFrame, table: str, factor: int) -> pl.DataFrame:
    """The rows and more like them: other ids, a millisecond later each, of other users."""
    more = [rows]
    for number in range(1, factor):
        copy = marked(rows, table, mark=f"x{number}")
        moment = pl.col("event_timestamp") + timedelta(milliseconds=number)
        user = pl.concat_str(pl.col("user_id"), pl.lit(f"-{number}"))
        more.append(copy.with_columns(event_timestamp=moment, user_id=user))
    return pl.concat(more)


def renamed(table: str, column: str, to: str) -> Deliver:
    """A column has another name."""
    return lambda day: day.but(table, day.tables[table].rename({column: to}))


def typed(table: str, **kinds: pl.DataType) -> Deliver:
    """Columns come in other types, with the same values."""
    casts = {name: pl.col(name).cast(kind) for name, kind in kinds.items()}
    return lambda day: day.but(table, day.tables[table].with_columns(**casts))


def listed(
    name: str,
    plants: str,
    answer: Answer,
    by: str,
    deliver: Deliver,
    *,
    count: int = 0,
    error: str = "",
) -> Mutation:
    """A fault of a delivery that every shop meets."""
    return Mutation(
        name,
        plants,
        Where.SOURCE,
        answer,
        by,
        deliver=deliver,
        count=count,
        error=error,
        is_listed=True,
    )

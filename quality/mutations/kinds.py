"""What a mutation is: where it is planted, what it plants, and the answer that must come."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

import polars as pl


class Where(StrEnum):
    """The hop at which the fault appears, in the order of the rows' way."""

    SOURCE = "source"
    """In what the shop hands over."""
    LAKE = "lake"
    """In what is landed: a connector's bug, another writer."""
    MODEL = "model"
    """In the SQL of a dbt model."""
    MARTS = "marts"
    """In what is published."""
    NOWHERE = "nowhere"
    """A table whose every day is gone; the history is checked."""


class Answer(StrEnum):
    """What must come of it."""

    STOPPED = "stopped"
    """The day ends before Feast (or, if only examples are wrong, before training)."""
    QUARANTINED = "quarantined"
    """Exactly the planted rows are set aside by ingest; the day goes on as if without them."""
    REJECTED = "rejected"
    """Exactly the planted rows are refused by a named rule of dbt; the day goes on."""
    COUNTED = "counted"
    """Exactly the planted rows are counted as duplicates; the day goes on."""
    AS_IT_WAS = "as it was"
    """The day means the same and lands as the same: no value differs from the good day's."""


@dataclass(frozen=True)
class Delivery:
    """What a source hands over for one day.

    Attributes:
        day: The day.
        tables: Table → rows, typed. ``events`` and ``transactions`` hold this day alone; ``items``
            and ``users`` are whole snapshots. A table that is not there is not handed over.
        earlier: The same table's rows of the day before.
        forms: Table → ``csv``, ``jsonl`` or ``parquet`` (the default).
        kept: Table → the share of the file's bytes that arrive.
        broken_line: A line at the end of the events file that is no row.
        log: Lines that the storefront's log holds besides its own.
        files: More files, by name.
    """

    day: date
    tables: Mapping[str, pl.DataFrame]
    earlier: Mapping[str, pl.DataFrame]
    forms: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, float] = field(default_factory=dict)
    log: tuple[Mapping[str, object], ...] = ()
    broken_line: str = ""
    files: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def but(self, table: str, rows: pl.DataFrame) -> "Delivery":
        """The same with other rows of one table."""
        return replace(self, tables={**self.tables, table: rows})

    def plus(self, table: str, rows: pl.DataFrame) -> "Delivery":
        """The same with more rows of one table."""
        return self.but(table, pl.concat([self.tables[table], rows], how="diagonal_relaxed"))

    def written_as(self, table: str, form: str, *, kept: float = 1.0) -> "Delivery":
        """The same with one table in another form, perhaps cut."""
        return replace(self, forms={**self.forms, table: form}, kept={**self.kept, table: kept})


Deliver = Callable[[Delivery], Delivery]
Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Mutation:
    """One fault.

    Attributes:
        name: As it is asked for.
        plants: What is wrong, as a sentence.
        where: The hop.
        answer: What must come.
        by: The rule that must name it: a reason of the quarantine, a named rule of dbt, a dbt test,
            an expectation (``suite.measure``), or the error of a file that cannot be read.
        table: Which table, model or mart is changed; unused for ``SOURCE``.
        deliver: For ``SOURCE``.
        change: For ``LAKE`` and ``MARTS``.
        sql: For ``MODEL``: what is selected from ``whole``, the model as it was.
        count: How many rows are planted; 0 where the day is stopped.
        shop: ``files`` or ``online_retail``.
        error: The error that must stop the day, where one answer is told from another.
        is_listed: Whether it is one of the faults that every shop meets, not one made for a rule.
    """

    name: str
    plants: str
    where: Where
    answer: Answer
    by: str
    table: str = ""
    deliver: Deliver | None = None
    change: Change | None = None
    sql: str = ""
    count: int = 0
    shop: str = "files"
    is_listed: bool = False
    error: str = ""

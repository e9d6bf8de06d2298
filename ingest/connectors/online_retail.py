"""UCI Online Retail (352) and Online Retail II (502): one line per stock code on an invoice.

Reads what people download (``.xlsx`` with any number of sheets, ``.csv``) and the Parquet form.
Lines that stand in two files or sheets are one line: the id is made of the content. Times carry no
zone and are taken as UTC. What is dirt *of that shop* lands as it is.

Source: https://archive.ics.uci.edu/dataset/502/online+retail+ii
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from domain.errors import BadInputError
from domain.events import Source
from domain.schemas import LANDED
from ingest import columns
from ingest.connectors.reading import raw_rows
from ingest.raw import Raw, Wants, empty, every, with_own_columns

_SCHEMA: Final = LANDED["online_retail"]["transactions"]
_NAMES: Final = {
    "invoice": "invoice_no",
    "invoiceno": "invoice_no",
    "stockcode": "stock_code",
    "description": "description",
    "quantity": "quantity",
    "invoicedate": "invoiced_at",
    "invoicedat": "invoiced_at",
    "price": "unit_price",
    "unitprice": "unit_price",
    "customerid": "customer_id",
    "country": "country",
}
_COLUMNS: Final = tuple(dict.fromkeys(_NAMES.values()))
_FORMS: Final = (".parquet", ".csv", ".xlsx")
_KNOWN_DAYS: Final = MappingProxyType(
    {date(2011, 12, 9): "the published file ends at 12:50 of its last day"}
)


class OnlineRetail:
    """The files at ``path``: one file, or a folder of them."""

    source = Source.ONLINE_RETAIL

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, *, day: date | None, until: date | None, wants: Wants = every) -> Iterator[Raw]:
        """All lines of the wanted files.

        A file in a folder without an invoice column is left aside, and named.
        """
        notes: list[str] = []
        files = self._files()
        for file in filter(wants, files):
            for rows in raw_rows(file, _SCHEMA, rename=_renamed):
                if "invoice_no" not in rows.columns and self._path.is_dir():
                    notes.append(f"{file.name} left aside: it has no invoice column")
                    yield Raw("transactions", empty(_SCHEMA), file, (notes[-1],))
                    break
                columns.require(rows.columns, file, required=_COLUMNS, known=_COLUMNS)
                whole = with_own_columns(rows, _SCHEMA)
                yield Raw("transactions", whole.with_columns(_identifiers(whole)), file)
        if len(notes) == len(files):
            raise BadInputError(f"{self._path}: no file has an invoice column; " + "; ".join(notes))
        yield Raw("transactions", empty(_SCHEMA), known_days=_KNOWN_DAYS)

    def _files(self) -> list[Path]:
        if self._path.is_file():
            return [self._path]
        files = sorted(file for file in self._path.iterdir() if file.suffix.lower() in _FORMS)
        if not files:
            raise BadInputError(f"{self._path} holds no {', '.join(_FORMS)} file")
        return files


def _renamed(rows: pl.DataFrame) -> pl.DataFrame:
    return columns.renamed(rows, _NAMES)


def _identifiers(rows: pl.DataFrame) -> list[pl.Expr]:
    """Ids as text without the ``.0`` that a spreadsheet's number leaves behind."""
    held = {name: rows.schema[name] for name in ("invoice_no", "stock_code", "customer_id")}
    return [
        pl.col(name).str.replace(r"^(\d+)\.0$", "${1}")
        for name, kind in held.items()
        if kind == pl.String
    ]

import csv
import shutil
from datetime import datetime

import polars as pl
import pytest

from domain.errors import BadInputError


def fields(tiny):
    with tiny.open(newline="") as file:
        return list(csv.DictReader(file))


def in_second_form(tiny):
    """The names and shapes of UCI 502: Invoice, Price, "Customer ID", numbers as numbers."""
    return pl.DataFrame(
        {
            "Invoice": [_number(row["InvoiceNo"]) for row in fields(tiny)],
            "StockCode": [_number(row["StockCode"]) for row in fields(tiny)],
            "Description": [row["Description"] or None for row in fields(tiny)],
            "Quantity": [int(row["Quantity"]) for row in fields(tiny)],
            "InvoiceDate": [
                datetime.strptime(row["InvoiceDate"], "%m/%d/%Y %H:%M") for row in fields(tiny)
            ],
            "Price": [float(row["UnitPrice"]) for row in fields(tiny)],
            "Customer ID": [float(row["CustomerID"] or "nan") for row in fields(tiny)],
            "Country": [row["Country"] for row in fields(tiny)],
        },
        strict=False,
        schema_overrides={"Invoice": pl.Object, "StockCode": pl.Object},
    )


def _number(text):
    return int(text) if text.isdigit() else text


def write_workbook(path, tiny, *, sheets):
    """Two sheets, as UCI ships it; numeric codes are numbers, as a spreadsheet makes them."""
    import xlsxwriter

    frame = in_second_form(tiny)
    rows = frame.rows()
    with xlsxwriter.Workbook(str(path), {"nan_inf_to_errors": True}) as book:
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for sheet in range(sheets):
            page = book.add_worksheet(f"Year {sheet}")
            page.write_row(0, 0, frame.columns)
            for number, row in enumerate(rows[sheet::sheets], start=1):
                for column, value in enumerate(row):
                    if isinstance(value, datetime):
                        page.write_datetime(number, column, value, moment)
                    elif value is not None and str(value) != "nan":
                        page.write(number, column, value)


def typed_parquet(path, tiny):
    """The form of the Parquet files beside the checkout: typed columns, int customers."""
    second = in_second_form(tiny)
    pl.DataFrame(
        {
            "invoice_no": [row["InvoiceNo"] for row in fields(tiny)],
            "stock_code": [row["StockCode"] for row in fields(tiny)],
            "description": second["Description"],
            "quantity": second["Quantity"].cast(pl.Int32),
            "invoiced_at": second["InvoiceDate"].dt.cast_time_unit("ms"),
            "unit_price": second["Price"],
            "customer_id": second["Customer ID"].fill_nan(None).cast(pl.Int32),
            "country": second["Country"],
        }
    ).write_parquet(path)


@pytest.mark.parametrize("form", ["a.xlsx", "b.xlsx", "c.parquet", "d.csv"])
def test_the_same_lines_give_the_same_lake_from_every_form(land, home, lake_bytes, tiny, form):
    land("online_retail", tiny)
    expected = lake_bytes()
    shutil.rmtree(home)
    path = home.parent / form
    if form == "d.csv":
        text = tiny.read_text()
        with_points = text.replace(",20001,", ",20001.0,").replace("CustomerID", "Customer ID")
        path.write_text(with_points.replace("UnitPrice", "Price").replace("InvoiceNo", "Invoice"))
    elif form == "c.parquet":
        typed_parquet(path, tiny)
    else:
        write_workbook(path, tiny, sheets=1 if form == "a.xlsx" else 2)
    land("online_retail", path)
    assert lake_bytes() == expected


def test_lines_that_stand_in_two_files_are_landed_once(land, tiny, tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    shutil.copy(tiny, folder / "first.csv")
    typed_parquet(folder / "second.parquet", tiny)
    receipt = land("online_retail", folder)
    assert (receipt.rows_in, receipt.rows_out, receipt.rows_duplicate) == (60, 29, 31)


def test_every_kind_of_dirt_of_the_shop_lands_as_it_is(land, landed, tiny):
    receipt = land("online_retail", tiny)
    assert receipt.rows_quarantined == 0
    second = landed("online_retail.transactions", "2011-02-02").to_pylist()
    assert {(row["invoice_no"], row["quantity"], row["unit_price"]) for row in second} >= {
        ("C700005", -2, 2.55),
        ("700006", -5, 0.0),
    }


def test_a_line_at_midnight_belongs_to_the_day_it_starts(land, landed, tiny):
    land("online_retail", tiny)
    first = landed("online_retail.transactions", "2011-02-01").to_pylist()
    second = landed("online_retail.transactions", "2011-02-02").to_pylist()
    assert max(row["invoiced_at"].isoformat() for row in first) == "2011-02-01T23:59:00+00:00"
    assert min(row["invoiced_at"].isoformat() for row in second) == "2011-02-02T00:00:00+00:00"


def test_dates_written_day_first_are_seen_when_month_first_cannot_be(land, tiny, tmp_path):
    path = tmp_path / "uk.csv"
    path.write_text(tiny.read_text().replace("2/1/2011", "28/1/2011").replace("2/2/", "3/2/"))
    receipt = land("online_retail", path)
    assert (receipt.details["first_date"].isoformat(), receipt.rows_quarantined) == (
        "2011-01-28",
        0,
    )


def test_a_file_in_a_folder_that_holds_no_invoices_is_left_aside_and_named(land, tiny, tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    shutil.copy(tiny, folder / "lines.csv")
    (folder / "products.csv").write_text("stock_code,n_lines\n90001,3\n")
    notes = land("online_retail", folder).details["notes"]
    assert notes == ["products.csv left aside: it has no invoice column"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("InvoiceNo,StockCode,Descripton,Quantity", "missing 'description', 'invoiced_at'"),
        ("InvoiceNo,StockCode,Descripton,Quantity", "did you mean 'description'"),
        ("name,age", "missing 'invoice_no'"),
    ],
)
def test_wrong_columns_are_named(land, tmp_path, header, said):
    (tmp_path / "a.csv").write_text(header + "\n")
    with pytest.raises(BadInputError, match=said):
        land("online_retail", tmp_path / "a.csv")


def test_a_folder_without_data_is_refused(land, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=r"holds no \.parquet, \.csv, \.xlsx file"):
        land("online_retail", tmp_path / "empty")


def test_a_source_that_needs_data_says_so(land, tmp_path):
    with pytest.raises(BadInputError, match="--data PATH"):
        land("online_retail")
    with pytest.raises(BadInputError, match="no such file or folder"):
        land("online_retail", tmp_path / "nowhere")

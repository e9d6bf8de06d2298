import gzip
import json

import polars as pl
import pytest

from domain.errors import BadInputError
from ingest.readers import batches


def read(path):
    return pl.concat(batches(path), how="diagonal")


def rows_of(frame):
    return frame.drop("_line", "_text").to_dicts()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no CSV file"),
        ("a.csv", b"\n\n", "no CSV file"),
        ("a.csv", b"a,b,a\n1,2,3\n", "'a' stands there twice"),
        ("a.parquet", b"item_id,title\n1,2\n", "no Parquet file"),
        ("a.parquet", b"PAR1PAR1", "no Parquet file"),
        ("a.xlsx", b"item_id,title\n1,2\n", "no workbook"),
        ("a.xlsx", gzip.compress(b"x", mtime=0), "no workbook"),
        ("a.json", b'{"a": 1}', "expected a JSON array of objects, got dict"),
        ("a.json", b"[1, 2", "no JSON file"),
        ("a.pickle", b"x", "expected one of .csv"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=said):
        read(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="no such file"):
        read(tmp_path / "a.csv")


def test_csv_records_keep_their_numbers_around_one_with_too_many_fields(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n3,4,5\n"x\ny",\n6\n7,8\n')
    frame = read(path).sort("_line")
    assert frame.select("_line", "a", "b", "_text").rows() == [
        (2, "1", "2", None),
        (3, None, None, "3,4,5"),
        (4, "x\ny", None, None),
        (5, None, None, "6"),
        (6, "7", "8", None),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_usual_delimiters_are_recognized(tmp_path, delimiter):
    path = tmp_path / "a.csv"
    path.write_text(delimiter.join("ab") + "\n" + delimiter.join("12") + "\n")
    assert rows_of(read(path)) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_text_from_windows_is_read_as_it_was_meant(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("title,price\nCafé,£5\n".encode(encoding))
    assert rows_of(read(path)) == [{"title": "Café", "price": "£5"}]


def test_a_string_of_ten_megabytes_is_one_value(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"a,b\n{'x' * 10_000_000},1\n2,3\n")
    assert read(path)["a"].str.len_chars().to_list() == [10_000_000, 1]


def test_a_broken_json_line_costs_only_itself(tmp_path):
    path = tmp_path / "a.jsonl"
    deep = "[" * 100_000
    path.write_text('{"a": 1}\n{"a": \n\n"text"\n{"a": "\\ud800"}\n{"b": 2.5}\n' + deep)
    frame = read(path)
    assert frame.select("_line", "a", "b").rows() == [
        (1, "1", None),
        (2, None, None),
        (4, None, None),
        (5, None, None),
        (6, None, "2.5"),
        (7, None, None),
    ]
    assert frame["_text"].is_null().to_list() == [True, False, False, False, True, False]


def test_bytes_that_are_no_text_are_kept_as_they_were_written(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "\xff"}\n')
    assert read(path)["_text"].to_list() == ['{"a": "\\xff"}']


def test_the_same_rows_read_alike_from_every_form(tmp_path):
    rows = [{"item_id": "a", "price_cents": 250}, {"item_id": "b", "price_cents": None}]
    frame = pl.DataFrame(rows)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.ndjson")
    frame.write_excel(tmp_path / "a.xlsx", autofit=False)
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.csv", "a.parquet", "a.ndjson", "a.xlsx", "a.json"):
        read_back = read(tmp_path / name).with_columns(pl.col("price_cents").cast(pl.Int64))
        assert rows_of(read_back.select("item_id", "price_cents", "_line", "_text")) == rows, name


def test_an_empty_workbook_is_refused(tmp_path):
    pl.DataFrame({"a": []}).write_excel(tmp_path / "a.xlsx")
    with pytest.raises(BadInputError, match="no sheet has a row"):
        read(tmp_path / "a.xlsx")


@pytest.mark.parametrize("name", ["a.xlsx", "a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize("rows", [3, 4, 5])
def test_no_row_is_lost_where_one_batch_ends(tmp_path, monkeypatch, name, rows):
    for size in ("ingest.readers.BATCH", "ingest.workbook._RECORDS"):
        monkeypatch.setattr(size, 2)
    frame = pl.DataFrame({"item_id": [f"i{number}" for number in range(rows)]})
    frame.write_excel(tmp_path / "a.xlsx", autofit=False)
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=3)
    found = list(batches(tmp_path / name))
    assert max(batch.height for batch in found) == 2
    whole = pl.concat(found, how="diagonal")
    assert whole["item_id"].to_list() == frame["item_id"].to_list()
    first = 1 if name in ("a.jsonl", "a.parquet") else 2  # Others have a header.
    assert whole["_line"].to_list() == list(range(first, first + rows))


def test_refused_csv_records_keep_their_numbers_from_block_to_block(tmp_path, monkeypatch):
    for size in ("ingest.readers.BATCH", "ingest.readers._CHUNK", "ingest.readers._BLOCK_LIMIT"):
        monkeypatch.setattr(size, 64)
    lines = [f"{n},b,c" if n % 7 == 0 else f"{n},b" for n in range(2, 300)]
    (tmp_path / "a.csv").write_text("\n".join(["number,b", *lines]) + "\n")
    assert len(list(batches(tmp_path / "a.csv"))) > 10
    frame = read(tmp_path / "a.csv").sort("_line")
    told = pl.coalesce("number", pl.col("_text").str.split(",").list.first())
    assert frame.select(told.cast(pl.Int64)).to_series().to_list() == list(range(2, 300))
    assert frame["_line"].to_list() == list(range(2, 300))


@pytest.mark.parametrize(
    ("name", "whole", "cut"),
    [
        ("a.csv", "a,b\n1,2\n3,4\n", 9),
        ("a.jsonl", '{"a": 1}\n{"a": 2}\n', 14),
        ("a.ndjson", '{"a": 1}\n{"a": 2}\n', 10),
    ],
)
def test_a_file_that_ends_within_a_record_is_cut_and_refused(tmp_path, name, whole, cut):
    path = tmp_path / name
    path.write_text(whole)
    assert read(path).height == 2
    path.write_text(whole.rstrip("\n"))
    assert read(path).height == 2, "a last line without its end is whole"
    path.write_text(whole[:cut])
    with pytest.raises(BadInputError, match="is cut: it ends in the middle of record"):
        read(path)

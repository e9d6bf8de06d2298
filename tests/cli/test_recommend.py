from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import vitrine
from cli.recommend import _listed
from domain.errors import BadInputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def recommend(tmp_path: Path, *arguments: str):
    out = ["--out", str(tmp_path / "out.parquet"), "--until", "2011-11-01"]
    return CliRunner().invoke(vitrine, ["recommend", *out, *arguments])


def test_users_are_read_from_csv_parquet_and_text_once_each_in_order(tmp_path):
    (tmp_path / "a.csv").write_text("name,user_id\nx,007\ny,12\nz,007\n")
    pq.write_table(pa.table({"user_id": ["007", None, "12"]}), tmp_path / "b.parquet")
    (tmp_path / "c.txt").write_text("007\n\n12 \n007\n")
    for name in ("a.csv", "b.parquet", "c.txt"):
        assert _listed(tmp_path / name) == ["007", "12"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"name\nx\n"),
        ("a.csv", b""),
        ("a.parquet", b"no parquet"),
        ("a.txt", b"\n\n"),
        ("a.txt", b"\xff\xfe\x00"),
    ],
)
def test_a_file_without_user_ids_is_refused_in_words(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match="--users"):
        _listed(tmp_path / name)


def test_what_is_missing_is_named(tmp_path):
    assert "nothing is live yet" in str(recommend(tmp_path).exception)
    assert "no release r9" in str(recommend(tmp_path, "--release", "r9").exception)
    both = recommend(tmp_path, "--release", "r9", "--run", "x")
    assert "not both" in str(both.exception)
    no_file = recommend(tmp_path, "--run", "x", "--users", str(tmp_path / "none.csv"))
    assert "no file" in str(no_file.exception)


@pytest.mark.parametrize("k", ["0", "1000000", "many"])
def test_k_has_bounds(tmp_path, k):
    result = recommend(tmp_path, "--k", k)
    assert result.exit_code == 2
    assert not (tmp_path / "out.parquet").exists()

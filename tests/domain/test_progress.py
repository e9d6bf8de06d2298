import json
from pathlib import Path

from domain.progress import Progress


def test_commands_share_one_file_line_by_line(tmp_path: Path):
    path = tmp_path / "logs" / "progress.jsonl"
    for command in ("ingest", "train"):
        Progress(path, command=command)("stage", "halfway", done=1, total=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["command"] for line in lines] == ["ingest", "train"]
    assert all((line["done"], line["total"]) == (1, 2) for line in lines)

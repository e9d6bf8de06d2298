"""A table too large to be held becomes one Parquet file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP: Final = 1_048_576
"""Rows: what pyarrow takes by itself, so a file has the bytes of one that was written at once."""


def write_parts(parts: Iterable[pa.Table], path: Path, schema: pa.Schema) -> int:
    """Write tables of one schema one after another; where one ended does not show.

    Returns:
        How many rows there were.
    """
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        held = schema.empty_table()
        for part in parts:
            count += len(part)
            held = pa.concat_tables([held, part])
            while len(held) >= ROW_GROUP:
                writer.write_table(held.slice(0, ROW_GROUP).combine_chunks())
                held = held.slice(ROW_GROUP)
        if len(held) or not count:
            writer.write_table(held.combine_chunks())
    return count

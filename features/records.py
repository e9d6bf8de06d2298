"""From what a store holds to columns: expiry, gaps, and records of more than one layout."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domain.errors import FeatureSchemaError
from features.layout import ID_BYTES, Layout
from features.unpacking import Bools, unpack

StoredRow = tuple[int, bytes]
"""Event time, microseconds since 1970, and the packed record."""


@dataclass(frozen=True)
class Held:
    """What a store answered, all as of one moment.

    Attributes:
        rows: One per key asked for; None where the store has none.
        stamp: The store's stamp as it is kept; None if there is none.
    """

    rows: Sequence[StoredRow | None]
    stamp: str | None


@dataclass(frozen=True)
class Rows:
    """Features of the asked-for entities, in their order.

    Attributes:
        event_us: Microseconds since 1970; 0 where there is no row.
        is_found: Which entities have a row that is still true.
        columns: Feature → values, null where there are none.
        stamp: As in ``Held``.
        lacking: Feature → rows that are there, but of a layout without this feature.
    """

    event_us: npt.NDArray[np.int64]
    is_found: Bools
    columns: Mapping[str, pa.Array]
    stamp: str | None
    lacking: Mapping[str, Bools] = field(default_factory=dict)

    def found(self, name: str) -> Bools:
        """Which rows hold this feature, be it null."""
        return self.is_found & ~self.lacking[name] if name in self.lacking else self.is_found


def read_rows(
    held: Held,
    layout: Layout,
    names: Sequence[str],
    *,
    oldest: int | None,
    old: Callable[[], Mapping[bytes, Layout]],
) -> Rows:
    """Decode what a store holds.

    Args:
        held: What the store answered.
        layout: The view's own, now.
        names: Features of that layout.
        oldest: Event time of the oldest row that is still true; None: all are.
        old: Asks the store for the layouts it has known, if a record has another one.

    Raises:
        FeatureSchemaError: If a record's layout is not known at all.
    """
    true = [row if row and (oldest is None or row[0] >= oldest) else None for row in held.rows]
    event_us = np.array([row[0] if row else 0 for row in true], dtype=np.int64)
    is_found = np.array([row is not None for row in true], dtype=bool)
    blank = layout.blank
    records = [row[1] if row else blank for row in true]
    ids = {record[:ID_BYTES] for record in records}
    if ids <= {layout.id}:
        return Rows(event_us, is_found, unpack(records, layout, names), held.stamp)
    layouts = {**old(), layout.id: layout}
    if unknown := ids - set(layouts):
        raise FeatureSchemaError(
            f"{len(unknown)} layouts of the online store's records are not known to it; "
            "materialize the view again"
        )
    met = {id_: layouts[id_] for id_ in sorted(ids)}
    columns, lacking = _mixed(records, met, layout, names)
    return Rows(event_us, is_found, columns, held.stamp, lacking)


def _mixed(
    records: Sequence[bytes], met: Mapping[bytes, Layout], layout: Layout, names: Sequence[str]
) -> tuple[dict[str, pa.Array], dict[str, Bools]]:
    """Columns of records of several layouts; a feature that changed its type counts as absent."""
    place = {id_: at for at, id_ in enumerate(met)}
    group = np.array([place[record[:ID_BYTES]] for record in records], dtype=np.int64)
    count = len(records)
    parts: list[dict[str, pa.Array]] = []
    for id_, each in met.items():
        same = [name for name in names if each.fields.get(name) == layout.fields[name]]
        own = [record if record[:ID_BYTES] == id_ else each.blank for record in records]
        parts.append(unpack(own, each, same))
    columns = {}
    lacking = {}
    for name in names:
        empty = pa.nulls(count, layout.fields[name].arrow)
        values = pa.concat_arrays([part.get(name, empty) for part in parts])
        columns[name] = values.take(pa.array(group * count + np.arange(count)))
        lacking[name] = np.array([name not in part for part in parts])[group]
    return columns, lacking

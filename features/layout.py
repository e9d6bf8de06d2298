"""What a stored record is made of: the view's fields, in order, and where each stands.

A record: 4 bytes that name the layout, a bit per field that is null, the numbers of fixed width,
the end of each value of other width, then these values. A record is read by the layout it names,
never by the one the view has now: a changed view cannot be served misread bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from feast import FeatureView

from features.kinds import KINDS, Kind

ID_BYTES: Final = 4
_FORMAT: Final = "packed-1"
_KEPT: Final = "_vitrine_layout"


@dataclass(frozen=True)
class Layout:
    """``fields``: name → kind, in the order they are kept."""

    fields: Mapping[str, Kind]

    @cached_property
    def id(self) -> bytes:
        """Names the layout in each of its records."""
        return hashlib.sha256(f"{_FORMAT} {self.text}".encode()).digest()[:ID_BYTES]

    @cached_property
    def text(self) -> str:
        """The fields as JSON: kept beside the data, so that old records stay readable."""
        return json.dumps([[name, kind.name] for name, kind in self.fields.items()])

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """Fields kept in the fixed part."""
        return tuple(name for name, kind in self.fields.items() if kind.is_fixed)

    @cached_property
    def loose(self) -> tuple[str, ...]:
        """Fields kept after the fixed part."""
        return tuple(name for name, kind in self.fields.items() if not kind.is_fixed)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Each field's bit among the nulls."""
        return {name: at for at, name in enumerate(self.fields)}

    @cached_property
    def head(self) -> np.dtype:
        """The fixed part. Field j is ``f<j>``: a feature may have any name."""
        numbers = [(f"f{self.position[name]}", self.fields[name].number) for name in self.fixed]
        nulls = (len(self.fields) + 7) // 8
        parts = [("id", f"S{ID_BYTES}"), ("nulls", "u1", (nulls,)), *numbers]
        return np.dtype([*parts, ("ends", "<u4", (len(self.loose),))])

    @cached_property
    def blank(self) -> bytes:
        """A record in which everything is null: stands in for one that is not there."""
        record = np.zeros(1, dtype=self.head)
        record["id"], record["nulls"] = self.id, 255
        return record.tobytes()


def layout_of(view: FeatureView) -> Layout:
    """The layout of a view as it is defined now.

    Kept on the view: working it out costs as much as reading a hundred rows.
    """
    known = view.__dict__.get(_KEPT)
    fields = tuple(view.features)
    if known is None or known[0] != tuple(map(id, fields)):
        layout = Layout({f.name: KINDS[f.dtype.to_value_type().name] for f in fields})
        # The fields are kept with it: an id is a field's only as long as it lives.
        known = view.__dict__[_KEPT] = (tuple(map(id, fields)), layout, fields)
    return known[1]


def layout_from(text: str) -> Layout:
    """The layout that ``Layout.text`` described."""
    return Layout({name: KINDS[kind] for name, kind in json.loads(text)})

"""How a value of each Feast type is kept: one entry a type, used by every store and both ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
from feast import ValueType
from feast.protos.feast.types.Value_pb2 import Value


class Form(Enum):
    """What a value's bytes look like."""

    NUMBER = "number"
    """Little-endian, always as wide as its type."""
    TEXT = "text"
    """As long as it is."""
    NUMBERS = "numbers"
    """A list: one number after another."""
    TEXTS = "texts"
    """A list: how many, each one's length, then all of them."""
    MESSAGE = "message"
    """Feast's own protobuf ``Value``: for the types without a faster form (maps, JSON, sets …)."""


@dataclass(frozen=True)
class Kind:
    """One Feast type.

    Attributes:
        name: Feast's ``ValueType`` name: what a stored layout is made of.
        form: How it is kept.
        arrow: The type of its column; of timestamps: seconds, all that Feast keeps.
        number: The numpy type of the number or of a list's numbers.
        proto: The field of ``Value`` that holds it.
    """

    name: str
    form: Form
    arrow: pa.DataType
    number: np.dtype | None
    proto: str

    @property
    def tag(self) -> int:
        """The number of its field in ``Value``."""
        return Value.DESCRIPTOR.fields_by_name[self.proto].number

    @property
    def is_fixed(self) -> bool:
        """Whether every value takes the same number of bytes."""
        return self.form is Form.NUMBER


SECONDS: Final = pa.timestamp("s", tz="UTC")

_NUMBERS: Final = (
    ("INT32", pa.int32(), "<i4", "int32"),
    ("INT64", pa.int64(), "<i8", "int64"),
    ("FLOAT", pa.float32(), "<f4", "float"),
    ("DOUBLE", pa.float64(), "<f8", "double"),
    ("BOOL", pa.bool_(), "|u1", "bool"),
    ("UNIX_TIMESTAMP", SECONDS, "<i8", "unix_timestamp"),
)
_TEXTS: Final = (("STRING", pa.string(), "string"), ("BYTES", pa.binary(), "bytes"))


def _kinds() -> Mapping[str, Kind]:
    kinds = [Kind(name, Form.MESSAGE, pa.binary(), None, "") for name in ValueType.__members__]
    for name, arrow, number, proto in _NUMBERS:
        dtype = np.dtype(number)
        listed = pa.list_(arrow)
        kinds.append(Kind(name, Form.NUMBER, arrow, dtype, f"{proto}_val"))
        kinds.append(Kind(f"{name}_LIST", Form.NUMBERS, listed, dtype, f"{proto}_list_val"))
    for name, arrow, proto in _TEXTS:
        kinds.append(Kind(name, Form.TEXT, arrow, None, f"{proto}_val"))
        kinds.append(Kind(f"{name}_LIST", Form.TEXTS, pa.list_(arrow), None, f"{proto}_list_val"))
    return MappingProxyType({kind.name: kind for kind in kinds})


KINDS: Final = _kinds()
"""``ValueType`` name → kind; every type of Feast has one."""

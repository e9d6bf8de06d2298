"""An answer as the JSON of Feast's server, made of columns.

What differs from Feast's own is how a number is spelled (``1e22`` where Python writes ``1e+22``):
read back, every value is the same.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
from feast.feature_server_utils import convert_response_to_dict
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

from features.plain import json_values
from features.records import Bools, Rows
from features.response import ColumnResponse, Part

_SECOND: Final = 1_000_000
_STATUSES: Final = {
    held: msgspec.json.encode(FieldStatus.Name(status))
    for held, status in ((True, FieldStatus.PRESENT), (False, FieldStatus.NOT_FOUND))
}


def json_of(response: ColumnResponse) -> bytes:
    """The whole answer, as ``/get-online-features`` gives it."""
    asked = convert_response_to_dict(response.asked)
    results: list[Any] = asked["results"]
    names: list[str] = asked["metadata"]["feature_names"]
    for part in response.parts:
        results.extend(_results(part))
        names.extend(part.names)
    return msgspec.json.encode({"results": results, "metadata": {"feature_names": names}})


def _results(part: Part) -> list[dict[str, Any]]:
    """The features of one view; what is the same for all of them is spelled once."""
    moments = msgspec.Raw(msgspec.json.encode(_moments(part.rows)))
    different = {id(found): found for _, _, found in part.columns.values()}
    statuses = {key: _statuses(found) for key, found in different.items()}
    return [
        {
            "values": json_values(column, kind),
            "statuses": statuses[id(found)],
            "event_timestamps": moments,
        }
        for column, kind, found in part.columns.values()
    ]


def _statuses(found: Bools) -> msgspec.Raw:
    return msgspec.Raw(b"[" + b",".join([_STATUSES[held] for held in found.tolist()]) + b"]")


def _moments(rows: Rows) -> Sequence[str]:
    """Event times as Feast's server spells them: as many digits as it takes, by threes."""
    seconds, rest = np.divmod(rows.event_us, _SECOND)
    return [
        _moment(second, micro) if held else "1970-01-01T00:00:00Z"
        for second, micro, held in zip(
            seconds.tolist(), rest.tolist(), rows.is_found.tolist(), strict=True
        )
    ]


def _moment(seconds: int, microseconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not microseconds:
        return f"{moment}Z"
    if microseconds % 1_000:
        return f"{moment}.{microseconds:06d}Z"
    return f"{moment}.{microseconds // 1_000:03d}Z"

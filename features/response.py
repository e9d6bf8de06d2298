"""Feast's answer to an online read, kept as columns until somebody asks for its protobuf.

What differs from Feast's own: nothing for its callers. ``to_dict``, ``to_df``, ``to_arrow`` and
``to_tensor`` are made of columns; ``proto`` is made when it is first looked at, and from then on it
is what the others are made of, as Feast's own: whoever holds it may have changed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from feast import FeatureView, ValueType
from feast.infra.online_stores.online_store import OnlineStore
from feast.online_response import TIMESTAMP_POSTFIX, OnlineResponse
from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse

from features.answers import add_answers, answered_names
from features.kinds import Kind
from features.layout import layout_of
from features.plain import python_values
from features.records import Bools, Rows


@dataclass(frozen=True)
class Part:
    """What one view has to say.

    Attributes:
        view: Whose features.
        features: Their names in the view.
        names: What the answer calls them.
        rows: Their values, a row for each entity asked about.
    """

    view: FeatureView
    features: Sequence[str]
    names: Sequence[str]
    rows: Rows

    @cached_property
    def columns(self) -> Mapping[str, tuple[pa.Array, Kind, Bools]]:
        """Name in the answer → values, their kind, and which rows hold one."""
        kinds = layout_of(self.view).fields
        return {
            name: (self.rows.columns[feature], kinds[feature], self.rows.found(feature))
            for name, feature in zip(self.names, self.features, strict=True)
        }


def part_of(view: FeatureView, features: Sequence[str], rows: Rows, *, full_names: bool) -> Part:
    """The part of one view, its features named as Feast names them."""
    return Part(view, features, answered_names(view, features, full_names=full_names), rows)


class ColumnResponse(OnlineResponse):
    """Feast's ``OnlineResponse``, as columns.

    Attributes:
        asked: The answer so far: the entities' columns, as Feast gives them back.
        parts: The answered features.
    """

    def __init__(self, asked: GetOnlineFeaturesResponse, parts: Sequence[Part]) -> None:
        self.asked = asked
        self.parts = parts

    @cached_property
    def proto(self) -> GetOnlineFeaturesResponse:
        """Feast's protobuf answer."""
        response = GetOnlineFeaturesResponse()
        response.CopyFrom(self.asked)
        for part in self.parts:
            add_answers(response, part.rows, part.view, part.features, part.names)
        return response

    @cached_property
    def _feature_types(self) -> dict[str, ValueType]:
        """What Feast's own way to values looks at."""
        return OnlineStore._build_feature_types([(p.view, p.features) for p in self.parts])

    def to_dict(self, include_event_timestamps: bool = False) -> dict[str, Any]:
        """Each name's values, in the order of the entities asked about."""
        if "proto" in self.__dict__:
            return super().to_dict(include_event_timestamps)
        values = OnlineResponse(self.asked).to_dict(include_event_timestamps)
        for part in self.parts:
            seconds = (part.rows.event_us // 1_000_000 * part.rows.is_found).tolist()
            for name, (column, kind, _) in part.columns.items():
                values[name] = python_values(column, kind)
                if include_event_timestamps:
                    values[name + TIMESTAMP_POSTFIX] = list(seconds)
        return values

"""What a store's features are: the names and types that a release is pinned to."""

from collections.abc import Iterable
from typing import Any

from feast import FeatureStore
from feast.base_feature_view import BaseFeatureView


def feature_schema(store: FeatureStore) -> dict[str, dict[str, str]]:
    """Feature view → feature → dtype as Feast spells it; on-demand views included."""
    return schema_of([*store.list_feature_views(), *store.list_on_demand_feature_views()])


def schema_of(definitions: Iterable[Any]) -> dict[str, dict[str, str]]:
    """The same of definitions that may not be applied yet; what is no view is passed over."""
    views = (found for found in definitions if isinstance(found, BaseFeatureView))
    return {
        view.name: {field.name: str(field.dtype) for field in view.features}
        for view in sorted(views, key=lambda view: view.name)
    }

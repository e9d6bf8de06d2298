"""What a store's features are: the names and types that a release is pinned to."""

from feast import FeatureStore


def feature_schema(store: FeatureStore) -> dict[str, dict[str, str]]:
    """Feature view → feature → dtype as Feast spells it; on-demand views included."""
    views = [*store.list_feature_views(), *store.list_on_demand_feature_views()]
    return {
        view.name: {field.name: str(field.dtype) for field in view.features}
        for view in sorted(views, key=lambda view: view.name)
    }

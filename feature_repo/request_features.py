"""What only the request knows: the item's price and the moment, against the user's habits.

The pipeline calls the same functions of ``features.request``.
"""

import pandas as pd
from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, UnixTimestamp
from user_features import user_features

request_source = RequestSource(
    name="request_source",
    schema=[
        Field(name="item_price_cents", dtype=Float64, description="The item's price now, cents."),
        Field(name="request_timestamp", dtype=UnixTimestamp, description="The request's now."),
    ],
)


@on_demand_feature_view(
    sources=[
        user_features[["price_mean_90d", "last_interaction_timestamp"]],
        request_source,
    ],
    schema=[
        Field(name="price_ratio", dtype=Float64),
        Field(name="days_since_last_interaction", dtype=Float64),
    ],
    mode="pandas",
    description="The item's price against the user's usual one; days since they last acted.",
)
def request_features(inputs: pd.DataFrame) -> pd.DataFrame:
    """Both request-time features, one row per row of ``inputs``."""
    # Feast keeps this function's text and runs it elsewhere: it must bring its own imports.
    import pandas as pd

    from features.request import days_since, price_ratio

    return pd.DataFrame(
        {
            "price_ratio": price_ratio(inputs["item_price_cents"], inputs["price_mean_90d"]),
            "days_since_last_interaction": days_since(
                inputs["last_interaction_timestamp"], inputs["request_timestamp"]
            ),
        },
        index=inputs.index,
    )

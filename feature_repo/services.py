"""What each model asks for: one service named after it, the same in training and in serving."""

from feast import FeatureService
from item_features import item_features
from request_features import request_features
from user_features import user_features
from user_history import user_history

retrieval = FeatureService(
    name="retrieval",
    features=[user_history],
    description="Propose candidates: the user's history is all that the retrievers see.",
)

ranking = FeatureService(
    name="ranking",
    features=[user_features, item_features, user_history, request_features],
    description="Order candidates: the user, the item, their history and the request.",
)

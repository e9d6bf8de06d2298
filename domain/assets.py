"""The Airflow assets, by name: the same names as the dbt models and the feature views.

``dags/`` turns these names into ``airflow.sdk.Asset`` objects; nothing here imports Airflow.
"""

from typing import Final

EVENTS: Final = "events"
USER_FEATURES: Final = "user_features"
ITEM_FEATURES: Final = "item_features"
USER_HISTORY: Final = "user_history"
RETRIEVAL_EXAMPLES: Final = "retrieval_examples"
RANKING_EXAMPLES: Final = "ranking_examples"
RELEASE: Final = "release"

FEATURE_TABLES: Final = (USER_FEATURES, ITEM_FEATURES, USER_HISTORY)

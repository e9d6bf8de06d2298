"""The assets that the Dags pass on, as Airflow sees them: the names stand in ``domain.assets``."""

from airflow.sdk import Asset

from domain import assets as names

EVENTS = Asset(names.EVENTS, group="shop")
USER_FEATURES = Asset(names.USER_FEATURES, group="shop")
ITEM_FEATURES = Asset(names.ITEM_FEATURES, group="shop")
USER_HISTORY = Asset(names.USER_HISTORY, group="shop")
RETRIEVAL_EXAMPLES = Asset(names.RETRIEVAL_EXAMPLES, group="shop")
RANKING_EXAMPLES = Asset(names.RANKING_EXAMPLES, group="shop")
RELEASE = Asset(names.RELEASE, group="shop")

FEATURES = [USER_FEATURES, ITEM_FEATURES, USER_HISTORY]
EXAMPLES = [RETRIEVAL_EXAMPLES, RANKING_EXAMPLES]

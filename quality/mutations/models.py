"""What goes wrong in a model: its SQL is wrapped, and ``whole`` is what it gave before."""

from typing import Final

from quality.mutations.kinds import Answer, Mutation, Where

_TWICE: Final = "select * from whole union all (select * from whole order by all limit 1)"


def _rule(
    by: str, model: str, plants: str, sql: str, *, shop: str = "files", name: str = ""
) -> Mutation:
    return Mutation(
        name or by, plants, Where.MODEL, Answer.STOPPED, by, table=model, sql=sql, shop=shop
    )


def _doubled(model: str, *, shop: str = "files") -> Mutation:
    return _rule(f"{model}_grain", model, f"{model} has one row twice", _TWICE, shop=shop)


def _first_says(values: dict[str, str], *, key: str) -> str:
    first = f"{key} = (select min({key}) from whole)"
    changed = ", ".join(
        f"case when {first} then {value} else {column} end as {column}"
        for column, value in values.items()
    )
    return f"select * replace ({changed}) from whole"


_A_DAY: Final = "interval '1 day'"

GRAINS: Final = (
    _doubled("int_item_activity"),
    _rule(
        "int_item_days_grain",
        "int_item_days",
        "an item is stated with two titles on one day",
        "select * from whole union all (select * replace (title || '!' as title) from whole "
        "where event_date = (select max(event_date) from whole) order by all limit 1)",
    ),
    _rule(
        "int_user_days_grain",
        "int_user_days",
        "a user is stated in two countries on one day",
        "select * from whole union all (select * replace ('XX' as country) from whole "
        "order by all limit 1)",
    ),
    _rule(
        "int_online_retail__price_days_grain",
        "int_online_retail__price_days",
        "an item has two prices on one day",
        "select * from whole union all (select * replace (price_cents + 1 as price_cents) "
        "from whole order by all limit 1)",
        shop="online_retail",
    ),
    _doubled("int_online_retail__title_days", shop="online_retail"),
    _doubled("items"),
    _doubled("users"),
    _doubled("interactions"),
    _doubled("sessions"),
    _doubled("user_features"),
    _doubled("item_features"),
    _doubled("user_history"),
    _doubled("retrieval_examples"),
    _doubled("ranking_examples"),
)

MARTS: Final = (
    _rule(
        "events_users_are_known",
        "int_user_days",
        "who is on no list, and only seen, is forgotten",
        "select * from whole where is_stated",
    ),
    _rule(
        "interactions_stand_on_their_day",
        "interactions",
        "an interaction is a day late",
        _first_says({"event_timestamp": f"event_timestamp + {_A_DAY}"}, key="user_id"),
    ),
    _rule(
        "interactions_types_are_known",
        "interactions",
        "a view counts as an interaction",
        "select * from whole union all "
        "(select * replace ('view' as event_type) from whole order by all limit 1)",
    ),
    _rule(
        "sessions_start_before_they_end",
        "sessions",
        "a session starts after it ends",
        _first_says({"started_timestamp": "ended_timestamp + interval '1 hour'"}, key="session_id"),
    ),
    _rule(
        "sessions_end_on_their_day",
        "sessions",
        "a session ends a day late",
        _first_says({"ended_timestamp": f"ended_timestamp + {_A_DAY}"}, key="session_id"),
    ),
    _rule(
        "rejected_events_reasons_are_known",
        "int_landed_events",
        "a rule nobody has heard of",
        _first_says({"reason": "'bad_luck'"}, key="event_id"),
    ),
    _rule(
        "reconciliation",
        "events",
        "one event is lost on the way",
        "select * from whole where event_id <> (select min(event_id) from whole)",
        name="event_lost",
    ),
)

FEATURES: Final = (
    _rule(
        "user_features_windows_grow",
        "user_features",
        "a week holds more than a month",
        _first_says({"purchase_count_7d": "purchase_count_30d + 1"}, key="user_id"),
    ),
    _rule(
        "user_features_count_items_and_days_once",
        "user_features",
        "a day is counted twice",
        _first_says({"purchase_day_count_90d": "91"}, key="user_id"),
    ),
    _rule(
        "user_features_know_no_future",
        "user_features",
        "an interaction of tomorrow is known",
        _first_says({"last_interaction_timestamp": f"event_timestamp + {_A_DAY}"}, key="user_id"),
    ),
    _rule(
        "user_features_users_are_known",
        "user_features",
        "an id is written in another way",
        _first_says({"user_id": "'shop/' || user_id"}, key="user_id"),
    ),
    _rule(
        "item_features_windows_grow",
        "item_features",
        "a week holds more than a month",
        _first_says({"purchase_count_7d": "purchase_count_30d + 1"}, key="item_id"),
    ),
    _rule(
        "item_features_count_users_once",
        "item_features",
        "a buyer is counted twice",
        _first_says({"purchase_user_count_30d": "purchase_count_30d + 1"}, key="item_id"),
    ),
    _rule(
        "item_features_know_no_future",
        "item_features",
        "a sale of tomorrow is known",
        _first_says({"first_sold_timestamp": f"event_timestamp + {_A_DAY}"}, key="item_id"),
    ),
    _rule(
        "user_history_has_1_to_50_items",
        "user_history",
        "a history is longer than its cut",
        _first_says({"history_item_ids": "string_split(repeat('x,', 50), ',')"}, key="user_id"),
    ),
    _rule(
        "user_history_weighs_every_item",
        "user_history",
        "a weight is missing",
        _first_says({"bought_item_ids": "list_concat(bought_item_ids, ['x'])"}, key="user_id"),
    ),
    _rule(
        "ranking_examples_labels_are_known",
        "ranking_examples",
        "a label 3",
        _first_says({"label": "3"}, key="user_id"),
    ),
)

MODELS: Final = (*GRAINS, *MARTS, *FEATURES)

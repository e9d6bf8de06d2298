"""What goes wrong in what is published: a bug of a model that no dbt test is about."""

from typing import Final

import polars as pl

from quality.mutations.kinds import Answer, Change, Mutation, Where
from quality.mutations.rows import spoiled


def _rule(by: str, plants: str, change: Change) -> Mutation:
    suite = by.partition(".")[0]
    table = "events" if suite == "judged_events" else suite
    name = by.replace(".", "_")
    return Mutation(name, plants, Where.MARTS, Answer.STOPPED, by, table=table, change=change)


def _one(**wrong: object) -> Change:
    """The first row says something else."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        rows = rows.sort(rows.columns[0])
        first = spoiled(rows.head(1), **wrong).cast(rows.schema)
        return pl.concat([first, rows.slice(1)])

    return change


def _all(**wrong: object) -> Change:
    return lambda rows: spoiled(rows, **wrong).cast(rows.schema)


def _nothing(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.clear()


def _times(factor: int) -> Change:
    return lambda rows: pl.concat([rows] * factor)


def _lists(values: list[object]) -> pl.Expr:
    return pl.lit(pl.Series([values])).first()


_LONG: Final = pl.concat_list([pl.lit("x")] * 2_001)
_WINDOWS: Final = ("purchase_count_7d", "purchase_count_30d", "purchase_count_90d")

USER_FEATURES: Final = (
    _rule("user_features.row_count", "no user's features", _nothing),
    _rule("user_features.row_count_to_usual", "each user thirty times", _times(30)),
    _rule(
        "user_features.purchase_count_90d_min",
        "fewer than no purchases",
        _one(**dict.fromkeys(_WINDOWS, -1)),
    ),
    _rule(
        "user_features.purchase_count_90d_max",
        "more purchases than a join should find",
        _one(purchase_count_90d=100_001),
    ),
    _rule(
        "user_features.click_count_30d_max",
        "more clicks than a person makes",
        _one(click_count_30d=100_001),
    ),
    _rule(
        "user_features.purchase_count_90d_level_to_usual",
        "the window lost its days",
        _all(**dict.fromkeys(_WINDOWS, 0)),
    ),
    _rule(
        "user_features.spend_cents_90d_max",
        "cents counted over and over",
        _one(spend_cents_90d=10_000_000_001),
    ),
    _rule(
        "user_features.price_mean_90d_min", "a mean price below nothing", _one(price_mean_90d=-1.0)
    ),
    _rule(
        "user_features.price_mean_90d_max", "a mean price above any price", _one(price_mean_90d=1e8)
    ),
)

ITEM_FEATURES: Final = (
    _rule("item_features.row_count", "no item's features", _nothing),
    _rule("item_features.row_count_to_usual", "each item thirty times", _times(30)),
    _rule(
        "item_features.impression_count_7d_max",
        "more impressions than there were events",
        _one(impression_count_7d=10_000_001),
    ),
    _rule(
        "item_features.purchase_count_90d_min",
        "fewer than no purchases",
        _one(**dict.fromkeys(_WINDOWS, -1)),
    ),
    _rule(
        "item_features.purchase_count_90d_max",
        "more purchases than a join should find",
        _one(purchase_count_90d=1_000_001),
    ),
    _rule(
        "item_features.purchase_count_90d_level_to_usual",
        "the window lost its days",
        _all(**dict.fromkeys(_WINDOWS, 0)),
    ),
    _rule(
        "item_features.price_mean_30d_min", "a mean price below nothing", _one(price_mean_30d=-1.0)
    ),
    _rule(
        "item_features.price_mean_30d_max", "a mean price above any price", _one(price_mean_30d=1e8)
    ),
)

USER_HISTORY: Final = (
    _rule("user_history.row_count", "nobody's history", _nothing),
    _rule("user_history.row_count_to_usual", "each history twenty times", _times(20)),
    _rule(
        "user_history.bought_length_max",
        "more items than the cut leaves",
        _one(bought_item_ids=_LONG),
    ),
    _rule(
        "user_history.bought_length_mean_to_usual",
        "what was ever bought is lost",
        _all(bought_item_ids=pl.col("bought_item_ids").list.head(0)),
    ),
    _rule(
        "user_history.weight_min",
        "a weight below nothing",
        _one(bought_item_weights=pl.concat_list(pl.lit(-0.1))),
    ),
    _rule(
        "user_history.weight_max",
        "a weight above a purchase every day for ever",
        _one(bought_item_weights=pl.concat_list(pl.lit(131.0))),
    ),
)

EXAMPLES: Final = (
    _rule("retrieval_examples.row_count", "no example", _nothing),
    _rule("retrieval_examples.row_count_to_usual", "each example twenty times", _times(20)),
    _rule("retrieval_examples.weight_min", "weaker than a click", _one(weight=0.5)),
    _rule("retrieval_examples.weight_max", "stronger than a purchase", _one(weight=6.0)),
    _rule(
        "retrieval_examples.purchase_share_change",
        "only purchases are left",
        _all(is_purchase=True),
    ),
    _rule(
        "retrieval_examples.items_per_user",
        "one user for everybody, again and again",
        lambda rows: pl.concat([rows.with_columns(user_id=pl.lit("u"))] * 9),
    ),
    _rule("ranking_examples.row_count", "no example", _nothing),
    _rule("ranking_examples.row_count_to_usual", "each example twenty times", _times(20)),
    _rule("ranking_examples.label_mean_change", "everything was bought", _all(label=2)),
    _rule("ranking_examples.propensity_max", "a probability of 150 %", _one(propensity=1.5)),
)

JUDGED: Final = (_rule("judged_events.row_count", "the published day is empty", _nothing),)

PUBLISHED: Final = (*USER_FEATURES, *ITEM_FEATURES, *USER_HISTORY, *EXAMPLES, *JUDGED)

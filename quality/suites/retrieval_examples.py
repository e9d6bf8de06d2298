"""What the retrievers learn from: user × item × day with the strongest weight of the day.

* Volume 0.1 … 10 of the usual. Weights are click 1, cart 3, purchase 5 (``domain.events``).
* Drift: the share of purchases against the usual, ±0.5: a shop of purchases only stays at 1, a shop
  with clicks near 0.05; a jump says that one kind of event was lost.
* Items per user: real up to 48 on a day; ten times that is one id for everybody.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "weight_min": "min(weight)",
    "weight_max": "max(weight)",
    "purchase_share": "avg(CAST(is_purchase AS INT))",
    "items_per_user": "count(*) / count(DISTINCT user_id)",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.1, 10, why="a lost or doubled day"),
    between("weight_min", 1, None, why="the weakest interaction is a click"),
    between("weight_max", 1, 5, why="the strongest interaction is a purchase"),
    between("purchase_share_change", -0.5, 0.5, why="one kind of event was lost"),
    between("items_per_user", 1, 500, why="one id for everybody, or a robot"),
]

"""User histories of a day, before they go online.

* What was ever bought is cut at 2,000 (``domain.schemas``). The history's own length, 1 to 50, is
  dbt's to test: structure.
* Weights: Σ 0.5 ** (days / 90) over the days an item was bought. Bought every day for ever, that is
  1 / (1 − 0.5 ** (1 / 90)) = 130.
* Drift: what people bought so far grows slowly; a tenth of it overnight is a lost history.
"""

from domain.schemas import BOUGHT_LENGTH
from quality.expect import between, rows_are_there

MEASURES = {
    "bought_length_max": "max(len(bought_item_ids))",
    "bought_length_mean": "avg(len(bought_item_ids))",
    "weight_max": "max(list_max(bought_item_weights))",
    "weight_min": "min(list_min(bought_item_weights))",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.1, 10, why="a lost or doubled day"),
    between("bought_length_max", 0, BOUGHT_LENGTH, why="the cut was lost"),
    between("bought_length_mean_to_usual", 0.1, 10, why="a lost history"),
    between("weight_min", 0, None, why="a sum of powers"),
    between("weight_max", 0, 130, why="more than one purchase a day, every day, for ever"),
]

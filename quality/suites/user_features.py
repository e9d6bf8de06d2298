"""User features of a day, before they go online.

A row stands for a user whose values changed that day, so the volume follows the shop's weekdays:
on a closed day only those remain whose events left a window. Bounds were set on the real marts of
Online Retail (735 days) and the simulated shop.

* Volume 0.02 … 20 of the usual: a closed day after a busy week is small but not nothing.
* Ranges: far above any real count, below what only a runaway join makes.
* Drift: the mean logarithm of purchases in 90 days against the usual (real: 0.72 … 1.25); a mean
  would only repeat its largest value.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "purchase_count_90d_min": "min(purchase_count_90d)",
    "purchase_count_90d_max": "max(purchase_count_90d)",
    "click_count_30d_max": "max(click_count_30d)",
    "purchase_count_90d_level": "avg(ln(1 + greatest(purchase_count_90d, 0)))",
    "spend_cents_90d_max": "max(spend_cents_90d)",
    "price_mean_90d_min": "min(price_mean_90d)",
    "price_mean_90d_max": "max(price_mean_90d)",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.02, 20, why="a lost or doubled day"),
    between("purchase_count_90d_min", 0, None, why="a count"),
    between("purchase_count_90d_max", 0, 100_000, why="a join that multiplied rows"),
    between("click_count_30d_max", 0, 100_000, why="a join that multiplied rows, or a robot"),
    between("purchase_count_90d_level_to_usual", 0.2, 5, why="a window that lost or doubled days"),
    between("spend_cents_90d_max", 0, 10_000_000_000, why="cents counted twice over"),
    between("price_mean_90d_min", 0, None, why="no unit costs less than nothing"),
    between("price_mean_90d_max", 0, 10_000_000, why="above any real unit price"),
]

"""Item features of a day, before they go online.

As in ``user_features``: a row stands for an item whose values changed that day; volume is loose
because weekdays differ, ranges are above any real count and below a runaway join.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "impression_count_7d_max": "max(impression_count_7d)",
    "purchase_count_90d_min": "min(purchase_count_90d)",
    "purchase_count_90d_max": "max(purchase_count_90d)",
    "purchase_count_90d_level": "avg(ln(1 + greatest(purchase_count_90d, 0)))",
    "price_mean_30d_min": "min(price_mean_30d)",
    "price_mean_30d_max": "max(price_mean_30d)",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.02, 20, why="a lost or doubled day"),
    between("impression_count_7d_max", 0, 10_000_000, why="a join that multiplied rows"),
    between("purchase_count_90d_min", 0, None, why="a count"),
    between("purchase_count_90d_max", 0, 1_000_000, why="a join that multiplied rows"),
    between("purchase_count_90d_level_to_usual", 0.2, 5, why="a window that lost or doubled days"),
    between("price_mean_30d_min", 0, None, why="no unit costs less than nothing"),
    between("price_mean_30d_max", 0, 10_000_000, why="above any real unit price"),
]

"""Items as landed: a whole snapshot of the catalog, so each is compared with the last.

* 0.9 of the last catalog is a cut file; twice as many items overnight is a doubled one.
* Prices: as for events. The whole catalog's median price moves by a sale, not by half.
* Titles: words that a person can read; Online Retail's mean length is 27 characters.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "price_cents_min": "min(price_cents)",
    "price_cents_max": "max(price_cents)",
    "price_cents_median": "median(price_cents)",
    "title_length_mean": "avg(length(title))",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_last", 0.9, 2, why="a cut or doubled catalog"),
    between("price_cents_min", 0, None, why="no unit costs less than nothing"),
    between("price_cents_max", 0, 10_000_000, why="above any real unit price: a slipped comma"),
    between("price_cents_median_to_last", 0.5, 2, why="cents for units, another currency"),
    between("title_length_mean", 3, 500, why="codes or whole descriptions in place of titles"),
]

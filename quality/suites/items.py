"""Items as landed: a whole snapshot of the catalog, so each is compared with the last.

* 0.9 of the last catalog is a cut file; twice as many items overnight is a doubled one.
* New ids and new categories: a shop adds some; when half of the ids or a fifth of the catalog's
  categories are words that the last snapshot did not have, it is another way of writing them.
* Prices: as for events. The whole catalog's median price moves by a sale, not by half.
* Titles: words that a person can read; Online Retail's mean length is 27 characters.
* Columns nobody requires are filled as often as before.
"""

from quality.expect import between, filled_shares, rows_are_there, still_filled

OPTIONAL = (
    "description",
    "category",
    "brand",
    "price_cents",
    "image_url",
    "available_from_date",
)
COMPARED = ("item_id", "category")

MEASURES = {
    "new_item_share": "avg(CAST(is_new_item_id AS INT))",
    "new_category_share": "avg(CAST(is_new_category AS INT))",
    "price_cents_min": "min(price_cents)",
    "price_cents_max": "max(price_cents)",
    "price_cents_median": "median(price_cents)",
    "title_length_mean": "avg(length(title))",
    **filled_shares(OPTIONAL),
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_last", 0.9, 2, why="a cut or doubled catalog"),
    between("new_item_share", 0, 0.5, why="ids are written in another way, or another shop's"),
    between("new_category_share", 0, 0.2, why="categories are named in another way"),
    between("price_cents_min", 0, None, why="no unit costs less than nothing"),
    between("price_cents_max", 0, 10_000_000, why="above any real unit price: a slipped comma"),
    between("price_cents_median_to_last", 0.5, 2, why="cents for units, another currency"),
    between("title_length_mean", 3, 500, why="codes or whole descriptions in place of titles"),
    *still_filled(OPTIONAL, since="_to_last"),
]

"""Events as landed: by a simulated shop, by files and by the storefront.

* Volume: at most 4.5 of the shop's own spreads from its usual (``quality.context``). Half of Online
  Retail's days lie within 0.7; which of its 604 are refused stands in docs/data-rules.md.
* Users: 0.15 … 5 of the usual (real: 0.19 … 3): who comes varies less than what they do.
* Prices: nothing below 0 is a price; 100,000.00 is above all that one unit ever cost
  (Online Retail's dearest is a 38,970.00 manual correction).
* Quantity: the largest real one is 80,995 pieces.
* Freshness: the last event is at most four hours before the usual end: a feed that died midway
  through the day is refused. Of 604 real days one ends so early, and it is the file's last,
  partial one.
* Drift: the median price against the usual, 0.33 … 3 (real: 0.49 … 1.75): cents and units mixed up
  is a factor of 100, a wrong currency often one of 5. The upper tenth sees it where only some of
  the rows are wrong.
* Columns nobody requires are filled as often as before: a renamed one is null in silence.
"""

from quality.expect import between, filled_shares, rows_are_there, still_filled

OPTIONAL = (
    "session_id",
    "request_id",
    "surface",
    "position",
    "query_text",
    "quantity",
    "unit_price_cents",
    "propensity",
)

MEASURES = {
    "user_count": "count(DISTINCT user_id)",
    "price_cents_min": "min(unit_price_cents)",
    "price_cents_max": "max(unit_price_cents)",
    "price_cents_median": "median(unit_price_cents)",
    "price_cents_upper": "quantile_cont(unit_price_cents, 0.9)",
    "quantity_max": "max(abs(quantity))",
    "last_hour": "(epoch(max(event_timestamp)) % 86400) / 3600",
    **filled_shares(OPTIONAL),
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_surprise", -4.5, 4.5, why="a part of the day is missing, or came twice"),
    between("user_count_to_usual", 0.15, 5, why="users stopped coming, or ids stopped matching"),
    between("price_cents_min", 0, None, why="no unit costs less than nothing"),
    between("price_cents_max", 0, 10_000_000, why="above any real unit price: a slipped comma"),
    between("price_cents_median_to_usual", 0.33, 3, why="cents for units, another currency"),
    between("price_cents_upper_to_usual", 0.2, 5, why="cents for units in some of the rows"),
    between("quantity_max", 0, 100_000, why="above any real quantity"),
    between("last_hour_change", -4, None, why="the feed stopped hours before the usual end"),
    *still_filled(OPTIONAL),
]

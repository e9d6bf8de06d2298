"""Events: as landed by a simulated shop, by files and by the storefront, and the mart.

* Volume against the usual of the last ten days, 0.2 … 5: Online Retail's own days go from 0.16 (the
  last day before Christmas 2010, snow: the one real day of 604 that is refused) to 3.9 (the first
  Monday after New Year). Half a day's rows lost on a Sunday is inside; a lost file is not.
* Users: 0.15 … 5 (real: 0.19 … 3). Rows per user: one broken visitor with a million events is seen.
* Prices: nothing below 0 is a price; 100,000.00 is above all that one unit ever cost
  (Online Retail's dearest is a 38,970.00 manual correction).
* Quantity: the largest real one is 80,995 pieces.
* Freshness: the last event is after noon. The earliest closing hour of 604 real days is 12:50, and
  that is the file's last, partial day; a feed that died in the morning is refused.
* Drift: the median price against the usual, 0.33 … 3 (real: 0.49 … 1.75): cents and units mixed up
  is a factor of 100, a wrong currency often one of 5.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "user_count": "count(DISTINCT user_id)",
    "rows_per_user": "count(*) / count(DISTINCT user_id)",
    "price_cents_min": "min(unit_price_cents)",
    "price_cents_max": "max(unit_price_cents)",
    "price_cents_median": "median(unit_price_cents)",
    "quantity_max": "max(abs(quantity))",
    "propensity_max": "max(propensity)",
    "last_hour": "(epoch(max(event_timestamp)) % 86400) / 3600",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.2, 5, why="a lost or doubled file"),
    between("user_count_to_usual", 0.15, 5, why="users stopped coming, or ids stopped matching"),
    between("rows_per_user", 1, 5_000, why="one id for everybody, or a robot"),
    between("price_cents_min", 0, None, why="no unit costs less than nothing"),
    between("price_cents_max", 0, 10_000_000, why="above any real unit price: a slipped comma"),
    between("price_cents_median_to_usual", 0.33, 3, why="cents for units, another currency"),
    between("quantity_max", 0, 100_000, why="above any real quantity"),
    between("propensity_max", 0, 1, why="a probability"),
    between("last_hour", 12, 24, why="the feed stopped before noon"),
]

"""Online Retail's invoice lines as landed, with all the dirt that is really in them.

Measured on the 604 real days (1,033,035 lines); dirt is expected, a change in its amount is not.

* Volume: at most 4.5 of the shop's own spreads from its usual (``quality.context``). Four real days
  are further: 2010-06-20, 2010-12-19, 2010-12-22 and 2011-02-06, all with 0.16 to 0.4 of the usual.
* Lines per invoice against the usual: real 0.38 … 3.5; all on one, or one on each, is a lost id.
* Lines without a user: real 0 … 0.87 of a day. A column of users that was lost is refused one step
  later, as so few lines are accepted then (``judged_events``).
* Negative quantities (returns, write-offs): real up to 0.154 of a day.
* Zero prices: real up to 0.22; above 0.3 the price column is broken.
* Unit prices: real −53,594.36 (bad debt) … 38,970.00. Quantities: real ±80,995.
* Median price against the usual: real 0.49 … 1.75; the upper tenth 0.60 … 1.54.
* Freshness: the last line at most four hours before the usual end. One real day is refused, and
  rightly: 2011-12-09, where the file itself ends, at 12:50.

Saturdays and the New Year have no lines. Such a day, asked for by name, is let through if that
weekday had none in the four weeks before; a holiday is refused and a person looks.
"""

from quality.expect import between, filled_shares, rows_are_there, still_filled

OPTIONAL = ("description", "country")

MEASURES = {
    "negative_quantity_share": "avg(CAST(quantity < 0 AS INT))",
    "zero_price_share": "avg(CAST(unit_price = 0 AS INT))",
    "lines_per_invoice": "count(*) / count(DISTINCT invoice_no)",
    "price_median": "median(unit_price)",
    "price_upper": "quantile_cont(unit_price, 0.9)",
    "price_min": "min(unit_price)",
    "price_max": "max(unit_price)",
    "quantity_max": "max(abs(quantity))",
    "last_hour": "(epoch(max(invoiced_at)) % 86400) / 3600",
    **filled_shares(OPTIONAL),
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_surprise", -4.5, 4.5, why="a part of the day is missing, or came twice"),
    between("lines_per_invoice_to_usual", 0.25, 5, why="lines were lost, or ids stopped matching"),
    between("negative_quantity_share", 0, 0.3, why="returns are few; a flipped sign is not"),
    between("zero_price_share", 0, 0.3, why="the price column is broken"),
    between("price_median_to_usual", 0.33, 3, why="cents for pounds, another currency"),
    between("price_upper_to_usual", 0.2, 5, why="cents for pounds in some of the lines"),
    between("price_min", -100_000, None, why="above twice the worst bad debt ever booked"),
    between("price_max", None, 100_000, why="above twice the dearest line"),
    between("quantity_max", 0, 100_000, why="above any real quantity"),
    between("last_hour_change", -4, None, why="the feed stopped hours before the usual end"),
    *still_filled(OPTIONAL),
]

"""Online Retail's invoice lines as landed, with all the dirt that is really in them.

Measured on the 604 real days (1,044,847 lines); dirt is expected, a change in its amount is not.

* Volume against the usual of the last ten trading days, 0.2 … 5: real 0.16 … 3.9; the one refused
  is 2010-12-22 (291 lines where 1,776 are usual: snow, two days before Christmas).
* Lines without a user: real 0 … 0.87 of a day; all of them would mean the column was lost.
* Negative quantities (returns, write-offs): real up to 0.154 of a day.
* Zero prices: real up to 0.22; above 0.4 the price column is broken.
* Unit prices: real −53,594.36 (bad debt) … 38,970.00. Quantities: real ±80,995.
* Median price against the usual: real 0.49 … 1.75.
* Freshness: the last line after noon; the earliest real end is 12:50, on the partial last day.

Saturdays and the New Year have no lines. Such a day, asked for by name, is let through if that
weekday had none in the four weeks before; a holiday is refused and a person looks.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "invoice_count": "count(DISTINCT invoice_no)",
    "without_user_share": "avg(CAST(customer_id IS NULL AS INT))",
    "negative_quantity_share": "avg(CAST(quantity < 0 AS INT))",
    "zero_price_share": "avg(CAST(unit_price = 0 AS INT))",
    "price_median": "median(unit_price)",
    "price_min": "min(unit_price)",
    "price_max": "max(unit_price)",
    "quantity_max": "max(abs(quantity))",
    "last_hour": "(epoch(max(invoiced_at)) % 86400) / 3600",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_usual", 0.2, 5, why="a lost or doubled file"),
    between("invoice_count", 5, None, why="a handful of invoices is a torn file; real: 13 or more"),
    between("without_user_share", 0, 0.95, why="the column of users was lost"),
    between("negative_quantity_share", 0, 0.3, why="returns are few; a flipped sign is not"),
    between("zero_price_share", 0, 0.4, why="the price column is broken"),
    between("price_median_to_usual", 0.33, 3, why="cents for pounds, another currency"),
    between("price_min", -100_000, None, why="above twice the worst bad debt ever booked"),
    between("price_max", None, 100_000, why="above twice the dearest line"),
    between("quantity_max", 0, 100_000, why="above any real quantity"),
    between("last_hour", 12, 24, why="the feed stopped before noon"),
]

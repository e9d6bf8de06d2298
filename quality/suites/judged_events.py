"""Landed rows after dbt's named rules: the mart's events and, with a reason, the rejected ones.

What is refused row by row was no reason to stop when it landed, and features of few rows look like
those of a quiet day: here a day is stopped in which too much was refused.

* Events of items that no snapshot has: 0.2 of a day is a catalog that did not come, or ids that are
  written in another way. (A shop that states no items has no such events.)
* What is accepted of the shop's own rows: at least a tenth of the usual share. Online Retail's
  worst day keeps 0.13 of it (lines without a user). The storefront's rows are nearly all accepted,
  and a busy one would hide that the shop's were not.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "unknown_item_share": "avg(CAST(coalesce(reason = 'unknown_item', false) AS INT))",
    "accepted_share": "avg(CAST(reason IS NULL AS INT)) FILTER (source <> 'storefront')",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("unknown_item_share", 0, 0.2, why="the catalog did not come, or ids do not match it"),
    between("accepted_share_to_usual", 0.1, None, why="nearly all of the day was refused"),
]

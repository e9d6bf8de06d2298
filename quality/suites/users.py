"""Users as landed: a whole snapshot, so each is compared with the last.

* Nobody is ever deleted in bulk: 0.9 of the last snapshot is a cut file (erasures are single
  people). Twice as many users overnight is a list of somebody else's.
* A signup after the day of the snapshot has not happened.
"""

from quality.expect import between, rows_are_there

MEASURES = {
    "future_signup_share": "avg(CAST(coalesce(signup_date > event_date, false) AS INT))",
    "without_country_share": "avg(CAST(country IS NULL AS INT))",
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_last", 0.9, 2, why="a cut file, or another shop's"),
    between("future_signup_share", 0, 0, why="a snapshot knows no future"),
    between("without_country_share_change", -0.5, 0.5, why="a column was lost or moved"),
]

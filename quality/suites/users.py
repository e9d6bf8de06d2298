"""Users as landed: a whole snapshot, so each is compared with the last.

* Nobody is ever deleted in bulk: 0.9 of the last snapshot is a cut file (erasures are single
  people). Twice as many users overnight is a list of somebody else's, and so are ids of which more
  than half are new.
* A signup after today has not happened. (Today is the wall clock's: the one list of a shop of
  files stands on its first day and knows who signed up since.)
* Columns nobody requires are filled as often as before.

A shop that never stated a user is a shop without a list of users: that table is not judged.
"""

from quality.expect import between, filled_shares, rows_are_there, still_filled

OPTIONAL = ("segment", "country", "signup_date")
COMPARED = ("user_id",)

MEASURES = {
    "new_user_share": "avg(CAST(is_new_user_id AS INT))",
    "future_signup_share": "avg(CAST(coalesce(signup_date > current_date, false) AS INT))",
    **filled_shares(OPTIONAL),
}

EXPECTATIONS = [
    *rows_are_there(),
    between("row_count_to_last", 0.9, 2, why="a cut file, or another shop's"),
    between("new_user_share", 0, 0.5, why="ids are written in another way, or another shop's"),
    between("future_signup_share", 0, 0, why="nobody signs up tomorrow"),
    *still_filled(OPTIONAL, since="_to_last"),
]

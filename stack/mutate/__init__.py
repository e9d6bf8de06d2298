"""``vitrine check --mutate``: good days, spoiled one at a time, on the ordinary path."""

"""``vitrine verify --features``: the features are what the raw events say, offline and online."""

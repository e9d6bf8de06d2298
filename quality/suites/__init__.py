"""One suite a table: ``MEASURES`` (what a day is reduced to) and ``EXPECTATIONS`` (its bounds).

Amounts only: volume, ranges, freshness, drift. Structure (keys, nulls, accepted values) is dbt's.
"""

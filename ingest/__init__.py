"""What comes in: connectors, typing, sifting, landing, quarantine.

``ingest.run`` lands a history or a day; ``ingest.ledger`` and ``domain.dirty`` are what other
rooms read afterwards. A source's own words (customer, stock code …) stop here and in dbt's staging.
"""

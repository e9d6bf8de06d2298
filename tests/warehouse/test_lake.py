from datetime import date

import pyarrow.parquet as pq

from domain.events import Source
from domain.schemas import LANDED
from warehouse.lake import landed_days, write_types

ONE, TWO = date(2026, 1, 1), date(2026, 1, 2)


def test_landed_days_are_the_shops_and_the_storefronts(settings, land):
    land(settings, "events", TWO, [])
    land(settings, "events", ONE, [], source="storefront")
    land(settings, "events", date(2020, 1, 1), [], source="files")
    assert landed_days(settings.lake, Source.SIMULATED) == [ONE, TWO]


def test_every_landed_table_has_an_empty_file_of_its_types(settings):
    write_types(settings.cache)
    for source, tables in LANDED.items():
        for table, schema in tables.items():
            file = settings.cache / "landed" / source / table / "event_date=1970-01-01/part.parquet"
            assert pq.ParquetFile(file).read().equals(schema.empty_table())

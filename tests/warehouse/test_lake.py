import os
from datetime import date

import pyarrow.parquet as pq

from domain.events import Source
from domain.schemas import LANDED
from warehouse.lake import clear_dirty, dirty_days, landed_days, mark_dirty, write_types

ONE, TWO = date(2026, 1, 1), date(2026, 1, 2)


def test_landed_days_are_the_shops_and_the_storefronts(settings, land):
    land(settings, "events", TWO, [])
    land(settings, "events", ONE, [], source="storefront")
    land(settings, "events", date(2020, 1, 1), [], source="files")
    assert landed_days(settings.lake, Source.SIMULATED) == [ONE, TWO]


def test_a_day_that_was_marked_again_during_the_build_stays_dirty(settings):
    mark_dirty(settings.lake, [ONE, TWO])
    planned = max(
        (settings.lake / "dirty" / day.isoformat()).stat().st_mtime_ns for day in (ONE, TWO)
    )
    os.utime(settings.lake / "dirty" / TWO.isoformat(), ns=(planned + 1, planned + 1))
    clear_dirty(settings.lake, [ONE, TWO], marked_before_ns=planned)
    assert dirty_days(settings.lake) == {TWO}


def test_marking_again_does_not_make_an_old_mark_young(settings):
    mark_dirty(settings.lake, [ONE])
    mark = settings.lake / "dirty" / ONE.isoformat()
    os.utime(mark, ns=(5, 5))
    mark_dirty(settings.lake, [ONE])
    assert mark.stat().st_mtime_ns == 5


def test_every_landed_table_has_an_empty_file_of_its_types(settings):
    write_types(settings.cache)
    for source, tables in LANDED.items():
        for table, schema in tables.items():
            file = settings.cache / "landed" / source / table / "event_date=1970-01-01/part.parquet"
            assert pq.ParquetFile(file).read().equals(schema.empty_table())

import polars as pl
import pytest

from domain.errors import BadInputError

DAY = "2026-01-01"
FIT = pl.DataFrame(
    {
        "event_type": ["click"] * 2,
        "event_timestamp": [DAY] * 2,
        "user_id": ["u1", "u2"],
        "item_id": ["i1"] * 2,
    }
)


@pytest.fixture
def land_parquet(land, shop):
    """Land FIT with one column replaced, as a Parquet file."""

    def run(**column):
        folder = shop()
        (folder / "events.csv").unlink()
        FIT.with_columns(**column).write_parquet(folder / "events.parquet")
        return land("files", folder)

    return run


@pytest.mark.parametrize(
    "moments",
    [
        pl.Series([0, 2**53]).cast(pl.Datetime("ms")),
        pl.Series([0, -(2**60)]).cast(pl.Datetime("us", "UTC")),
        pl.Series([0, 2**30], dtype=pl.Int32).cast(pl.Date),
    ],
)
def test_a_moment_beyond_the_calendar_costs_only_its_row(land_parquet, quarantined, moments):
    since_2026 = moments.to_physical() + FIT["event_timestamp"].str.to_date().cast(
        moments.dtype
    ).to_physical() * (moments.to_physical() == 0)
    receipt = land_parquet(event_timestamp=since_2026.cast(moments.dtype))
    assert receipt.details["quarantined_by_reason"] == {"unparsable_timestamp": 1}
    assert receipt.details["rows"]["files.events"] == 1
    assert len(quarantined("files.events")) == 1


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_moments_of_every_unit_and_zone_land_as_utc(land_parquet, landed, unit, zone):
    moments = pl.Series(["2026-01-01 01:30:00"] * 2).str.to_datetime(time_unit=unit)
    land_parquet(event_timestamp=moments.dt.replace_time_zone(zone))
    # half past one in Paris is half past midnight in UTC
    hour = 0 if zone == "Europe/Paris" else 1
    landed_moments = landed("files.events", DAY)["event_timestamp"].to_pylist()
    assert {moment.hour for moment in landed_moments} == {hour}


def test_a_column_of_categories_is_text(land_parquet, landed):
    land_parquet(event_type=pl.Series(["click", "view"]).cast(pl.Categorical))
    assert set(landed("files.events", DAY)["event_type"].to_pylist()) == {"click", "view"}


@pytest.mark.parametrize(
    "values",
    [pl.Series([b"i1", b"i2"]), pl.Series([["i1"], ["i2"]]), pl.Series([1, 2]).cast(pl.Duration)],
)
def test_bytes_lists_and_durations_are_no_values(land_parquet, values):
    with pytest.raises(BadInputError, match="column 'item_id' holds"):
        land_parquet(item_id=values)

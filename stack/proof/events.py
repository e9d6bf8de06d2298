"""What a proof starts from: the accepted events, straight from the lake."""

import polars as pl

from domain import dirty
from domain.errors import StaleFeaturesError
from domain.events import Source
from domain.settings import Settings
from ingest.landed_events import landed_events


def accepted_events(settings: Settings) -> pl.DataFrame:
    """What the shop and its storefront landed, less what dbt's named rules refused.

    The rejections are all that is taken from the marts: a moment or a price that the warehouse
    bends is not believed. ``vitrine verify`` shows that landed = events + rejected, id by id.

    Raises:
        StaleFeaturesError: If nothing was built, or what was landed is not built yet.
    """
    if waiting := dirty.days(settings.lake):
        raise StaleFeaturesError(
            f"{len(waiting)} days wait for vitrine build ({waiting[0]} … {waiting[-1]}): "
            "until then their features are not what the lake says"
        )
    if not any((settings.marts / "user_features").glob("event_date=*/part.parquet")):
        raise StaleFeaturesError(f"nothing is built below {settings.marts}: run vitrine build")
    landed = [
        rows.with_columns(source=pl.lit(source.value))
        for source in (settings.source, Source.STOREFRONT)
        if len(rows := landed_events(settings.lake, source))
    ]
    if not landed:
        raise StaleFeaturesError(f"no event is landed in {settings.lake}: run vitrine ingest")
    return pl.concat(landed).join(_refused(settings), on=["source", "event_id"], how="anti")


def _refused(settings: Settings) -> pl.DataFrame:
    files = sorted((settings.marts / "rejected_events").glob("event_date=*/part.parquet"))
    if not files:
        return pl.DataFrame(schema={"source": pl.String, "event_id": pl.String})
    return pl.scan_parquet(files).select("source", event_id="source_id").collect()

"""Feast's DuckDB offline store with DuckDB's as-of join.

What differs from Feast's own: its join pairs every asked-for moment with *every* earlier row of the
entity, lists and all, and then keeps one (805,000 item × days over 991,000 rows: 39 s and 5.5 GB);
``ASOF JOIN`` finds the one row. It sorts what it joins, so it gets no more than the moments and the
places of the rows of the entities asked about; the features are fetched by place afterwards. Same
rows, same ttl: the tests compare the two, benchmarks/history.py measures them.
"""

import atexit
from typing import Any

import ibis
import pandas as pd
from feast import FeatureView, FileSource, OnDemandFeatureView, RepoConfig
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import (
    DuckDBOfflineStore,
    DuckDBOfflineStoreConfig,
    _write_data_source,
)
from feast.infra.offline_stores.ibis import IbisRetrievalJob
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry
from ibis.expr.types import Table

_HELD = "__feature_timestamp"
_FILE = "__file"
_PLACE = "file_row_number"
"""DuckDB's own name for a row's number in its Parquet file."""


@atexit.register
def _close_ibis() -> None:
    """Close ibis' own connection: nanobind prints pages of leaks about one that is left open."""
    if ibis.options.default_backend is not None:
        ibis.options.default_backend.disconnect()
        ibis.options.default_backend = None


class AsOfDuckDBOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Feast's configuration of the DuckDB store."""

    type: str = "features.offline.AsOfDuckDBOfflineStore"


class AsOfDuckDBOfflineStore(DuckDBOfflineStore):
    """Only the historical join differs."""

    @staticmethod
    def get_historical_features(  # noqa: PLR0917 - Feast's signature
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """Join each row of ``entity_df`` with the newest row at or before its moment.

        Raises:
            ValueError: If asked for what our views do not have: SQL entities, created timestamps,
                sources that are not Parquet files.
        """
        if isinstance(entity_df, str) or filter_by_created_timestamp:
            raise ValueError("expected a frame of entities and views without created timestamps")
        moment = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes.items()))
        # DuckDB 2.0 refuses to compare nanoseconds with the marts' microseconds.
        frame = entity_df.assign(**{moment: _microseconds(entity_df[moment])})
        asked = joined = ibis.memtable(frame)
        for view in feature_views:
            joined = _as_of(joined, asked, view, feature_refs, moment, full_feature_names)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        return IbisRetrievalJob(
            joined,
            on_demand,
            full_feature_names,
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=[column for column in frame.columns if column != moment],
                min_event_timestamp=frame[moment].min(),
                max_event_timestamp=frame[moment].max(),
            ),
            data_source_writer=_write_data_source,
            staging_location=None,
            staging_location_endpoint_override=None,
            repo_path=str(config.repo_path),
        )


def _as_of(  # noqa: PLR0917 - as Feast hands it over
    entities: Table, asked: Table, view: FeatureView, refs: list[str], moment: str, is_full: bool
) -> Table:
    """``entities`` with one view's columns; null where its newest row is older than the ttl.

    ``asked`` is the first of the tables that ``entities`` was joined from: its keys are the same.
    """
    prefix = view.projection.name_to_use()
    names = [ref.split(":")[1] for ref in refs if ref.startswith(f"{prefix}:")]
    outputs = {_output(prefix, name, is_full): name for name in names}
    rows = _rows(view)
    found = _places(entities, asked, rows, view, moment)
    columns = rows.select(
        **{f"{place}__right": rows[place] for place in (_FILE, _PLACE)},
        **{output: rows[name] for output, name in outputs.items()},
    )
    joined = found.left_join(
        columns, [found[place] == columns[f"{place}__right"] for place in (_FILE, _PLACE)]
    )
    return joined.select(
        *entities.columns,
        **{output: _while_true(joined, output, view, moment) for output in outputs},
    )


def _rows(view: FeatureView) -> Table:
    """The view's rows, each with its file and its place in it: no two have the same."""
    source = view.batch_source
    if not _is_parquet(source):
        raise ValueError(f"{view.name}: expected Parquet files, got {type(source).__name__}")
    return ibis.read_parquet(source.path, filename=_FILE, file_row_number=True)


def _is_parquet(source: DataSource) -> bool:
    if not isinstance(source, FileSource):
        return False
    # Feast takes a file without a format by its name.
    has_name = source.file_format is None and source.path.endswith(".parquet")
    return has_name or isinstance(source.file_format, ParquetFormat)


def _places(entities: Table, asked: Table, rows: Table, view: FeatureView, moment: str) -> Table:
    """``entities`` with the time and place of each one's newest row at or before its moment."""
    keys = [entity.name for entity in view.entity_columns]
    places = rows.select(
        **{f"{key}__right": rows[key] for key in keys},
        **{_HELD: rows[view.batch_source.timestamp_field].cast("timestamp('UTC', 6)")},
        **{place: rows[place] for place in (_FILE, _PLACE)},
    )
    wanted = asked.select(**{f"{key}__asked": asked[key] for key in keys}).distinct()
    places = places.semi_join(
        wanted, [places[f"{key}__right"] == wanted[f"{key}__asked"] for key in keys]
    )
    joined = entities.asof_join(
        places,
        on=entities[moment] >= places[_HELD],
        predicates=[entities[key] == places[f"{key}__right"] for key in keys],
    )
    return joined.select(*entities.columns, _HELD, _FILE, _PLACE)


def _while_true(joined: Table, column: str, view: FeatureView, moment: str) -> Any:
    if not view.ttl:
        return joined[column]
    is_true = joined[_HELD] + ibis.literal(view.ttl) >= joined[moment]
    return is_true.ifelse(joined[column], ibis.null(joined[column].type()))


def _output(view: str, name: str, is_full: bool) -> str:
    return f"{view}__{name}" if is_full else name


def _microseconds(moments: pd.Series) -> pd.Series:
    return pd.to_datetime(moments, utc=True).astype("datetime64[us, UTC]")

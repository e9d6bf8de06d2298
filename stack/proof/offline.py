"""Feast's point-in-time join against a brute force over the raw events, value for value."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

from domain.receipts import Stopwatch
from domain.settings import Settings
from ingest.audit import Break
from stack.hops import Hop
from stack.proof import brute_force
from stack.proof.asked import ask
from stack.proof.brute_force import ALL_TWINS
from stack.proof.compare import Truth, differences
from stack.proof.events import accepted_events
from stack.proof.joins import JOINS
from warehouse.lake import landed_days

NAME: Final = "features"
_EPOCH: Final = date(1970, 1, 1)


def offline_equals_raw_events(
    settings: Settings, *, rows: int, seed: int, progress: Callable[..., None]
) -> Hop:
    """Ask both joins for the same random rows, and hold every value against the raw events.

    Args:
        settings: Whose lake and marts.
        rows: How many (user, item, moment) are asked about.
        seed: Which ones: the same seed asks the same.
        progress: Called as the work goes on.

    Raises:
        StaleFeaturesError: If nothing is built, or days wait for their build.
    """
    watch = Stopwatch()
    events = accepted_events(settings)
    progress("raw events", f"{len(events):,} accepted events in the lake")
    newest = max(landed_days(settings.lake, settings.source))
    asked = ask(events, rows=rows, seed=seed, newest=newest)
    past = {
        entity: brute_force.entity_acts(events, entity, set(asked[entity].to_pylist()))
        for entity in ("user_id", "item_id")
    }
    truth = Truth(past, newest=(newest - _EPOCH).days)
    breaks = list(_unproven(settings))
    for join in JOINS:
        progress(join.name, f"joining {rows:,} rows")
        got = join.ask(settings, asked)

        def done(row: int, name: str = join.name) -> None:
            progress(name, "rows held against the raw events", done=row, total=rows)

        for feature, found in differences(join, asked, got, truth=truth, done=done).items():
            said = f"{found.rows:,} of {rows:,} rows of {join.name}; {found.first}"
            breaks.append(Break(feature, None, said))
    count = sum(map(len, ALL_TWINS.values()))
    said = (
        f"{rows:,} rows × {count} features, by training's join and by Feast's own, against a "
        f"brute force over {len(events):,} raw events ({watch.seconds:.0f} s)"
    )
    return Hop(NAME, "broken" if breaks else "ok", rows, said, tuple(breaks))


def _unproven(settings: Settings) -> Iterator[Break]:
    """Views that read another home, features without a twin, twins without a feature."""
    from features.schema import feature_schema
    from features.store import mart_glob, open_store

    store = open_store(settings)
    for view in store.list_feature_views():
        if view.batch_source.path != mart_glob(settings, view.name):
            said = f"the registry reads {view.batch_source.path}: run vitrine materialize"
            yield Break(view.name, None, said)
    stored = feature_schema(store)
    for view in sorted({*stored, *ALL_TWINS}):
        features, twins = set(stored.get(view, ())), set(ALL_TWINS.get(view, ()))
        for name in sorted(features - twins):
            yield Break(f"{view}.{name}", None, "has no twin in stack/proof/brute_force.py")
        for name in sorted(twins - features):
            yield Break(f"{view}.{name}", None, "has a twin, but the feature store lacks it")

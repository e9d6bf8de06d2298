"""What the raw events say, Feast says; a feature that peeks by one second is found and named."""

import shutil
from datetime import date

import duckdb
import pytest
from typer.testing import CliRunner

from cli.verify import app
from domain import dirty
from domain.errors import ReconciliationError, StaleFeaturesError
from domain.progress import silent
from domain.settings import Settings
from features.store import apply, mart_glob
from stack.proof.asked import SHARES
from stack.proof.brute_force import ALL_TWINS
from stack.proof.offline import offline_equals_raw_events
from stack.proof.online import online_equals_offline
from stack.verify import first_break
from stack.verify_features import verify_features

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # dbt, Feast and what they bring along
]

ROWS = 600


def copy_of(settings: Settings, home) -> Settings:
    """The same shop in a home of its own."""
    shutil.copytree(settings.root, home)
    copied = Settings(home=home, source=settings.source)
    apply(copied)
    return copied


def respell(settings: Settings, table: str, select: str, **with_tables: str) -> None:
    """Publish ``table`` again as ``select`` says; ``rows`` are its own."""
    ctes = {"rows": f"select * from '{mart_glob(settings, table)}'", **with_tables}
    query = ", ".join(f"{name} as ({text})" for name, text in ctes.items())
    aside = settings.root / "respelled"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"copy (with {query} {select}) to '{aside}' (format parquet, partition_by (event_date),"
            " filename_pattern 'part', write_partition_columns true)"
        )
    shutil.rmtree(settings.marts / table)
    for path in aside.glob("event_date=*/part*.parquet"):
        path.rename(path.with_name("part.parquet"))
    aside.rename(settings.marts / table)


def broken_features(settings: Settings) -> dict[str, str]:
    """Feature → what was said of it; the online store is not asked here."""
    hop = offline_equals_raw_events(settings, rows=ROWS, seed=3, progress=silent)
    return {found.where: found.said for found in hop.breaks}


def test_every_feature_is_what_the_raw_events_say_offline_and_online(proven):
    offline, online = verify_features(proven, rows=ROWS, seed=1, progress=silent)
    assert [hop.state for hop in (offline, online)] == ["ok", "ok"], offline.breaks + online.breaks
    assert offline.rows == ROWS
    # 20 users and 10 items less the refused one, a stranger to both, today and 45 days on
    assert online.rows == 2 * (21 + 10)


def test_another_seed_asks_other_rows_and_they_hold_too(proven):
    hop = offline_equals_raw_events(proven, rows=ROWS, seed=2, progress=silent)
    assert hop.state == "ok", hop.breaks


EVENTS = "select *, cast(event_timestamp as date) as day from '{events}'"
# What happened in the first second after a row's day, and is not known at its end.
NEXT_SECOND = (
    "select {key}, day - 1 as event_date, count(*) as count, max(event_timestamp) as last, "
    "max(item_id) as item from events where event_type = 'click' "
    "and event_timestamp < cast(day as timestamptz) + interval '1 second' group by all"
)
PEEKS = {
    "a window that ends one second late": (
        "user_features",
        "select rows.* replace (click_count_7d + coalesce(count, 0) as click_count_7d) "
        "from rows left join next_second using (user_id, event_date)",
        {"user_features.click_count_7d"},
    ),
    "a last moment of the next second": (
        "user_features",
        "select rows.* replace (coalesce(last, last_interaction_timestamp) as "
        "last_interaction_timestamp) from rows left join next_second using (user_id, event_date)",
        {
            "user_features.last_interaction_timestamp",
            "request_features.days_since_last_interaction",
        },
    ),
    "the next row's value": (
        "user_features",
        "select * replace (coalesce(lead(price_mean_90d) over (partition by user_id order by "
        "event_date), price_mean_90d) as price_mean_90d) from rows",
        {"user_features.price_mean_90d", "request_features.price_ratio"},
    ),
    "a history with the next second's item": (
        "user_history",
        "select rows.* replace (case when item is null then history_item_ids else "
        "list_append(history_item_ids[2:], item) end as history_item_ids) "
        "from rows left join next_second using (user_id, event_date)",
        {"user_history.history_item_ids"},
    ),
    "weights as of the day after": (
        "user_history",
        "select * replace (list_transform(bought_item_weights, lambda w: "
        "cast(w * power(0.5, 1 / 90.0) as real)) as bought_item_weights) from rows",
        {"user_history.bought_item_weights"},
    ),
    "a first sale that is still to come": (
        "item_features",
        "select rows.* replace (sold as first_sold_timestamp) from rows left join (select item_id, "
        "min(event_timestamp) as sold from events where event_type = 'purchase' group by 1) "
        "using (item_id)",
        {"item_features.first_sold_timestamp"},
    ),
}


@pytest.mark.parametrize("peek", PEEKS)
def test_a_feature_that_peeks_is_found_and_named(proven, tmp_path, peek):
    table, select, named = PEEKS[peek]
    spoilt = copy_of(proven, tmp_path / "spoilt")
    events = EVENTS.format(events=mart_glob(spoilt, "events"))
    key = "item_id" if table == "item_features" else "user_id"
    respell(spoilt, table, select, events=events, next_second=NEXT_SECOND.format(key=key))
    assert set(broken_features(spoilt)) == named


def test_rows_that_stand_one_second_early_are_seen_in_the_last_second_of_their_day(
    proven, tmp_path
):
    spoilt = copy_of(proven, tmp_path / "spoilt")
    early = "select * replace (event_timestamp - interval '1 second' as event_timestamp) from rows"
    respell(spoilt, "item_features", early)
    broken = broken_features(spoilt)
    assert {feature.split(".")[0] for feature in broken} == {"item_features"}
    assert "Feast's join" in broken["item_features.impression_count_7d"]
    assert "T23:59:59." in broken["item_features.impression_count_7d"]


def test_dbt_that_counts_the_first_second_of_the_next_day_is_found(proven, tmp_path):
    """The whole way: a window in SQL that is one second late, built by dbt as it is every day."""
    from warehouse.build import build_all

    project = tmp_path / "dbt"
    shutil.copytree(Settings().dbt_project, project)
    model = project / "models" / "intermediate" / "int_item_activity.sql"
    honest = model.read_text(encoding="utf-8")
    late = honest.replace(
        "*,",
        "* exclude (event_date), case event_type when 'impression' then "
        "cast(event_timestamp - interval '1 second' as date) else event_date end as event_date,",
        1,
    )
    assert late != honest
    model.write_text(late, encoding="utf-8")
    spoilt = copy_of(proven, tmp_path / "spoilt")
    build_all(spoilt.model_copy(update={"dbt_project": project}))
    broken = broken_features(spoilt)
    assert list(broken) == ["item_features.impression_count_7d"]
    assert "by the raw events, got" in broken["item_features.impression_count_7d"]


def test_a_value_that_is_other_online_is_named(proven, tmp_path):
    from features.materialize import materialize

    spoilt = copy_of(proven, tmp_path / "spoilt")
    respell(
        spoilt,
        "user_features",
        "select * replace (spend_cents_90d + 1 as spend_cents_90d) from rows",
    )
    offline, online = verify_features(spoilt, rows=ROWS, seed=3, progress=silent)
    assert "online store spend_cents_90d" in [found.where for found in online.breaks]
    assert first_break([offline, online]).where == "user_features.spend_cents_90d"
    materialize(spoilt)
    online = online_equals_offline(spoilt, progress=silent)
    assert online.state == "ok", online.breaks


def test_a_registry_copied_from_another_home_is_noticed(proven, tmp_path):
    """It would read the other home's marts, and prove nothing about this one."""
    shutil.copytree(proven.root, tmp_path / "moved")
    broken = broken_features(Settings(home=tmp_path / "moved", source=proven.source))
    assert set(broken) == {"user_features", "item_features", "user_history"}
    assert str(proven.marts) in broken["user_features"]


def test_the_command_names_the_feature_and_shows_how_far_it_is(proven, tmp_path, monkeypatch):
    spoilt = copy_of(proven, tmp_path / "spoilt")
    respell(
        spoilt, "item_features", "select * replace (click_count_7d + 1 as click_count_7d) from rows"
    )
    monkeypatch.setenv("VITRINE_HOME", str(spoilt.root))
    result = CliRunner().invoke(app, ["--features", "--rows", "100"])
    assert result.exit_code == 1
    assert isinstance(result.exception, ReconciliationError)
    assert str(result.exception).startswith("item_features.click_count_7d: ")
    assert "Feast's join: rows held against the raw events 100 of 100" in result.stderr
    monkeypatch.setenv("VITRINE_HOME", str(proven.root))
    assert CliRunner().invoke(app, ["--features", "--rows", "100"]).exit_code == 0


def test_nothing_is_claimed_of_days_that_are_not_built(proven, tmp_path):
    spoilt = copy_of(proven, tmp_path / "spoilt")
    dirty.mark(spoilt.lake, date(2026, 1, 3))
    with pytest.raises(StaleFeaturesError, match="1 days wait for vitrine build"):
        verify_features(spoilt, rows=ROWS, seed=1, progress=silent)


def test_every_feature_that_is_defined_has_a_twin(proven):
    from features.schema import schema_of
    from features.store import load_definitions

    defined = schema_of(load_definitions(proven))
    assert {view: set(features) for view, features in defined.items()} == {
        view: set(twins) for view, twins in ALL_TWINS.items()
    }


def test_a_feature_without_a_twin_is_refused(proven, monkeypatch):
    known = {**ALL_TWINS, "item_features": set(ALL_TWINS["item_features"]) - {"click_count_7d"}}
    monkeypatch.setattr("stack.proof.offline.ALL_TWINS", known)
    assert broken_features(proven)["item_features.click_count_7d"].startswith("has no twin")


def test_the_kinds_of_questions_leave_room_for_random_ones():
    assert 0.1 < 1 - sum(SHARES.values()) < 0.5

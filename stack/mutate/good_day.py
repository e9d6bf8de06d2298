"""A clean shop up to its last day, in two forms: files, and invoice lines as Online Retail's.

Four weeks of the simulator's people, without its dirt; some ids and titles have accents. What the
last day hands over is kept aside, so that a mutation can spoil it before it is landed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from quality.mutations.kinds import Delivery
from simulator.config import ShopConfig
from simulator.shop import Shop, simulate

SHOP: Final = ShopConfig(
    first_day=date(2026, 1, 21),
    last_day=date(2026, 2, 18),
    user_count=300,
    item_count=200,
    sessions_per_user_day=0.4,
    bot_share=0.0,
    dirt_rate=0.0,
)
DAY: Final = SHOP.last_day
SEED: Final = 11
ORPHANS: Final = 3
"""Events of an unknown item on the day before: one id may be refused twice."""

LOGGED_DAYS: Final = 13
"""The storefront opened so many days ago: long enough to be a part of the usual."""

_SATURDAY: Final = 5


@dataclass(frozen=True)
class Shops:
    """Where the two shops stand: ``<root>/<shop>/data`` and ``<root>/<shop>/today``."""

    root: Path

    def data(self, shop: str) -> Path:
        """What the source handed over before the last day."""
        return self.root / shop / "data"

    def delivery(self, shop: str) -> Delivery:
        """What it hands over on the last day."""
        today, earlier = self.root / shop / "today", self.root / shop / "earlier"
        return Delivery(DAY, _read(today), _read(earlier))


def make_shops(root: Path) -> Shops:
    """Simulate, and write both shops' files."""
    shop = simulate(SHOP, seed=SEED)
    shops = Shops(root)
    for day in SHOP.days:
        events = _events(shop, day)
        _write(shops, "files", day, events=events)
        if day.weekday() != _SATURDAY:
            _write(shops, "online_retail", day, transactions=_lines(shop, day, events))
        if day > DAY - timedelta(days=LOGGED_DAYS):
            _write_log(shops, day, events.filter(~pl.col("event_id").str.starts_with("orphan")))
    for day in SHOP.days[-2:]:
        _write(shops, "files", day, items=_items(shop, day), users=_users(shop, day))
    return shops


def _write(shops: Shops, shop: str, day: date, **tables: pl.DataFrame) -> None:
    for table, rows in tables.items():
        name = table if table in ("items", "users") else f"{table}_{day}"
        if day == DAY:
            places = [shops.root / shop / "today" / f"{table}.parquet"]
        else:
            places = [shops.data(shop) / f"{name}.parquet"]
        if day == SHOP.days[-2]:
            places.append(shops.root / shop / "earlier" / f"{table}.parquet")
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            rows.write_parquet(place)


def _write_log(shops: Shops, day: date, events: pl.DataFrame) -> None:
    """Every fifth user came through the storefront too, and one guest who is on nobody's list."""
    seen = events.filter(pl.col("user_id").hash(seed=2).mod(5) == 0)
    logged = seen.with_columns(
        event_id=pl.concat_str(pl.lit("web-"), "event_id"),
        event_timestamp=pl.col("event_timestamp").dt.to_string("iso:strict"),
    )
    for shop in ("files", "online_retail"):
        # One shop, one name for an item, whoever reports it.
        named = logged.with_columns(item_id=_stock_code()) if shop == "online_retail" else logged
        lines = named.to_dicts()
        guest = {**lines[0], "event_id": f"guest-{day}", "user_id": f"guest-{day}"}
        path = shops.root / shop / "event_log" / f"event_date={day}" / "1.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(json.dumps(line) + "\n" for line in [*lines, guest])
        path.write_text(rows, encoding="utf-8")


def _read(folder: Path) -> Mapping[str, pl.DataFrame]:
    return {file.stem: pl.read_parquet(file) for file in sorted(folder.glob("*.parquet"))}


def _user(column: str) -> pl.Expr:
    """Every tenth id begins with an accent, composed."""
    accent = pl.when(pl.col(column).str.ends_with("0")).then(pl.lit("ü")).otherwise(pl.lit(""))
    return pl.concat_str(accent, pl.col(column)).alias(column)


def _events(shop: Shop, day: date) -> pl.DataFrame:
    events = pl.DataFrame(shop.events(day)).with_columns(_user("user_id"))
    if day != DAY - timedelta(days=1):
        return events
    clicks = events.filter(pl.col("event_type") == "click").head(ORPHANS)
    numbers = pl.int_range(pl.len()).cast(pl.String)
    orphans = clicks.with_columns(
        event_id=pl.concat_str(pl.lit("orphan-"), numbers), item_id=pl.lit("i999999")
    )
    return pl.concat([events, orphans])


def _items(shop: Shop, day: date) -> pl.DataFrame:
    accent = (
        pl.when(pl.col("item_id").str.ends_with("0")).then(pl.lit(" Café")).otherwise(pl.lit(""))
    )
    return pl.DataFrame(shop.items(day)).with_columns(
        title=pl.concat_str("title", accent),
        image_url=pl.concat_str(pl.lit("images/"), "item_id", pl.lit(".jpg")),
    )


def _users(shop: Shop, day: date) -> pl.DataFrame:
    return pl.DataFrame(shop.users(day)).with_columns(_user("user_id"))


def _number() -> pl.Expr:
    return pl.col("item_id").str.extract(r"(\d+)").cast(pl.Int64)


def _stock_code() -> pl.Expr:
    """An item's name on an invoice."""
    return (10_000 + _number()).cast(pl.String)


def _lines(shop: Shop, day: date, events: pl.DataFrame) -> pl.DataFrame:
    """What people looked at, put in the cart, bought and gave back, as if it were invoiced."""
    items = pl.DataFrame(shop.items(day)).select("item_id", "title", "price_cents")
    kinds = ["click", "view", "add_to_cart", "purchase", "return"]
    looked = events.filter(pl.col("event_type").is_in(kinds)).join(items, on="item_id")
    is_return = pl.col("event_type") == "return"
    visit = (pl.col("user_id").rank("dense") + (day - SHOP.first_day).days * 1_000).cast(pl.String)
    pieces = 1 + _number() % 6
    return looked.select(
        pl.concat_str(pl.when(is_return).then(pl.lit("C")).otherwise(pl.lit("")), visit).alias(
            "invoice_no"
        ),
        _stock_code().alias("stock_code"),
        pl.col("title").alias("description"),
        pl.when(is_return).then(-pieces).otherwise(pieces).cast(pl.Int32).alias("quantity"),
        pl.col("event_timestamp").alias("invoiced_at"),
        (pl.col("price_cents") / 100).alias("unit_price"),
        pl.col("user_id").alias("customer_id"),
        pl.lit("France").alias("country"),
    )

"""A point-in-time join by hand, for tests of training that need no feature store.

Run as a script it trains a run on a folder of marts and can kill itself on the way:
``python hand_join.py MARTS FOLDER [STAGE WORDS]``: SIGKILL when the progress of STAGE says WORDS.
"""

import os
import signal
import sys
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from domain.schemas import (
    HISTORY_LENGTH,
    ITEM_FEATURE_TYPES,
    MARTS,
    USER_FEATURE_TYPES,
    USER_HISTORY_TYPES,
)


class HandJoin:
    """``join(entities, service=…)`` on RETRIEVAL_EXAMPLES, in plain loops."""

    def __init__(self, examples):
        self.rows = sorted(
            examples.to_pylist(), key=lambda row: (row["event_timestamp"], row["item_id"])
        )

    def __call__(self, entities, *, service):
        assert service == "ranking"
        entity = "user_id" if "user_id" in entities.column_names else "item_id"
        types = (
            {**USER_FEATURE_TYPES, **USER_HISTORY_TYPES}
            if entity == "user_id"
            else dict(ITEM_FEATURE_TYPES)
        )
        found = [
            self._user(e["user_id"], e["event_timestamp"])
            if entity == "user_id"
            else self._item(e["item_id"], e["event_timestamp"])
            for e in entities.to_pylist()
        ]
        for name, kind in types.items():
            entities = entities.append_column(name, pa.array([f.get(name) for f in found], kind))
        return entities

    def _before(self, entity, value, moment):
        return [
            row for row in self.rows if row[entity] == value and row["event_timestamp"] < moment
        ]

    def _user(self, user_id, moment):
        rows = self._before("user_id", user_id, moment)
        if not rows:
            return {}
        last = rows[-1]["event_date"]
        weights = {}
        for row in rows:
            age = (last - row["event_date"]).days
            weights[row["item_id"]] = weights.get(row["item_id"], 0.0) + 0.5 ** (age / 90)
        return {
            "history_item_ids": [row["item_id"] for row in rows][-HISTORY_LENGTH:],
            "bought_item_ids": list(weights),
            "bought_item_weights": list(weights.values()),
            "purchase_count_30d": _within(rows, moment, 30),
            "last_interaction_timestamp": rows[-1]["event_timestamp"],
        }

    def _item(self, item_id, moment):
        rows = self._before("item_id", item_id, moment)
        counts = {f"purchase_count_{days}d": _within(rows, moment, days) for days in (7, 30, 90)}
        return counts if rows else {}


def _within(rows, moment, days):
    return sum(row["event_timestamp"] >= moment - timedelta(days=days) for row in rows)


def write_marts(marts, examples, items, *, until):
    """The three marts that training reads."""
    for day in sorted(set(examples.column("event_date").to_pylist())):
        rows = examples.filter(pa.compute.field("event_date") == pa.scalar(day))
        _put(marts, "retrieval_examples", day, rows)
    _put(marts, "ranking_examples", day, MARTS["ranking_examples"].empty_table())
    _put(marts, "items", until - timedelta(days=1), items)


def _put(marts, table, day, rows):
    folder = marts / table / f"event_date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / "part.parquet")


def train_marts(marts, folder, *, until, progress, cache=None, encoder=None, preset=None):
    """Train a preset (default: debug) on a folder of marts."""
    from models.data import read_training_data
    from models.presets import PRESETS
    from models.text import Encoder
    from models.training import Provenance, train

    data = read_training_data(marts, until=until)
    return train(
        data,
        preset=preset or PRESETS["debug"],
        folder=folder,
        join=HandJoin(data.interactions),
        encoder=encoder or Encoder(),
        cache=cache,
        provenance=Provenance("debug", "0" * 40, {"user_features": {"spend_cents_90d": "Int64"}}),
        progress=progress,
    )


def main(marts, folder, until, *kill):
    """Train, and die where told."""

    def progress(stage, message, *, done=None, total=None):
        if kill and stage == kill[0] and kill[1] in message:
            os.kill(os.getpid(), signal.SIGKILL)

    train_marts(Path(marts), Path(folder), until=date.fromisoformat(until), progress=progress)


if __name__ == "__main__":
    main(*sys.argv[1:])

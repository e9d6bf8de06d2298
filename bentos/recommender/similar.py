"""Items like one item: by what people do with both, and by what both say of themselves.

What people do is asked of the retrievers themselves: whom would they offer what, if all they knew
were this one item? No second model, no second index.
"""

# V catalog, E text embedding

from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bentos.recommender.explain import Reason, title_of
from bentos.recommender.pipeline import Picked
from bentos.recommender.ports import Model
from bentos.recommender.search import DEPTH, fuse
from bentos.recommender.store import empty_users
from domain.schemas import USER_HISTORY_TYPES
from models.batch import UserBatch
from models.top_k import best_columns

BEHAVIOR: Final = ("als", "sequence")
TEXT: Final = "text"


def similar(
    model: Model, item: int, *, k: int, servable_V: npt.NDArray[np.bool_], now: datetime
) -> tuple[Picked, list[Reason]]:
    """The k items most like ``item`` (an item_index), best first, with reasons."""
    allowed_V = servable_V.copy()
    allowed_V[item] = False
    seen_with_V = _only_knows(model, item, now)
    scores = {
        name: model.retrievers[name].scores(seen_with_V)[0]
        for name in BEHAVIOR
        if name in model.retrievers
    }
    scores[TEXT] = model.text_VE @ model.text_VE[item]
    rankings = {name: _ranking(row, allowed_V) for name, row in scores.items()}
    fused = fuse(list(rankings.values()))
    best = list(fused)[:k]
    sources = [_best_source(each, rankings) for each in best]
    title = title_of(model.catalog, item)
    words = {TEXT: f"Like {title}"}
    reasons = [Reason(source, words.get(source, f"Goes with {title}")) for source in sources]
    return Picked(best, [fused[each] for each in best], sources), reasons


def _only_knows(model: Model, item: int, now: datetime) -> UserBatch:
    item_id = str(model.catalog.item_ids[item])
    nobody = empty_users([""])
    history = {
        "history_item_ids": [[item_id]],
        "bought_item_ids": [[item_id]],
        "bought_item_weights": [[1.0]],
    }
    for name, kind in USER_HISTORY_TYPES.items():
        at = nobody.schema.get_field_index(name)
        nobody = nobody.set_column(at, name, pa.array(history[name], kind))
    return UserBatch.from_table(nobody, model.catalog, now=now)


def _ranking(scores_V: npt.NDArray[np.float32], allowed_V: npt.NDArray[np.bool_]) -> list[int]:
    return [int(item) for item in best_columns(np.where(allowed_V, scores_V, -np.inf), k=DEPTH)]


def _best_source(item: int, rankings: dict[str, list[int]]) -> str:
    places = {name: ranking.index(item) for name, ranking in rankings.items() if item in ranking}
    return min(places, key=lambda name: places[name])

"""A trained run as one object: retrieve candidates, rank them, say what contributed.

The same files are judged, released and served, through the same methods. Nothing here reads a
clock, a store or the network.
"""

# B users, C candidates, V catalog, E text embedding, F features

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from safetensors.numpy import load_file

from domain.clock import midnight
from domain.errors import BadInputError
from models.batch import UserBatch
from models.candidates import Candidates, Mask, chunk_rows, not_bought, retrieve
from models.catalog import FIRST_ITEM, Catalog
from models.fusion import Fusion
from models.ranking.contributions import losses_by_group
from models.ranking.dnn import FeatureNetwork
from models.ranking.features import COUNTED, Assembler, counted_of, item_slice
from models.ranking.items import ItemMatrix
from models.ranking.transformer import CandidateTransformer
from models.retrieval import Retriever, retriever_class
from models.runs import ENCODER
from models.text import Encoder

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

TASKS: Final = ("any", "new")
HISTORY_GROUP: Final = "sequence_of_history"
"""What the transformer makes of the history; a group beside the feature network's."""
USERS_AT_ONCE: Final = 256
"""Bounds the features of one pass to about 20 MB."""


@dataclass(frozen=True)
class Ranked:
    """Scores of candidates, higher is better, ``-inf`` at padding; float32 [B, C].

    ``scores_BC``: the fused log-odds. ``dnn_BC``, ``transformer_BC``: each ranker's raw scores.
    """

    scores_BC: Floats
    dnn_BC: Floats
    transformer_BC: Floats


class Recommender:
    """Everything a run learned. Thread-safe after loading, but for the item matrix it remembers."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        text_VE: Floats,
        retrievers: Mapping[str, Retriever],
        dnn: FeatureNetwork,
        transformer: CandidateTransformer,
        fusion: Fusion,
        per_source: int,
        encoder_hash: str = "",
        encoder_folder: Path | None = None,
    ) -> None:
        self.catalog = catalog
        self.text_VE = text_VE
        self.retrievers = retrievers
        self.dnn = dnn.eval()
        self.transformer = transformer.folded()
        self.fusion = fusion
        self.per_source = per_source
        self.encoder_hash = encoder_hash
        self.encoder_folder = encoder_folder
        self.sources = tuple(retrievers)
        self._assembler = Assembler(catalog, text_VE)
        self._items: tuple[pa.Table, date, ItemMatrix] | None = None

    @classmethod
    def load(cls, folder: Path) -> "Recommender":
        """Read a finished run's folder (or a release's copy of it).

        Raises:
            BadInputError: If it is no finished run.
        """
        if not (folder / "run.json").exists():
            raise BadInputError(f"{folder} is no finished run: run.json is missing")
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        text_VE = load_file(folder / "text.safetensors")["text_VE"]
        return cls(
            catalog=Catalog.read(folder / "catalog.parquet"),
            text_VE=text_VE,
            retrievers={
                name: retriever_class(name).load(folder / "retrieval" / name)
                for name in run["sources"]
            },
            dnn=FeatureNetwork.load(folder / "ranking" / "dnn"),
            transformer=CandidateTransformer.load(
                folder / "ranking" / "transformer", text_VE=torch.from_numpy(text_VE)
            ),
            fusion=Fusion.load(folder / "fusion.json"),
            per_source=run["config"]["per_source"],
            encoder_hash=run["encoder_hash"],
            encoder_folder=folder / ENCODER if (folder / ENCODER).exists() else None,
        )

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that made ``text_VE``, for queries; loaded at its first use.

        It comes with the run, or is the installed default.

        Raises:
            BadInputError: If it is another: its vectors would mean something else.
        """
        encoder = Encoder(self.encoder_folder)
        if self.encoder_hash and encoder.hash != self.encoder_hash:
            raise BadInputError(
                f"the run's items were embedded by encoder {self.encoder_hash[:12]}, this one is "
                f"{encoder.hash[:12]}"
            )
        return encoder

    def retrieve(
        self,
        batch: UserBatch,
        *,
        bought: str,
        day: date,
        allowed_V: Mask | None = None,
        per_source: int | None = None,
    ) -> Candidates:
        """Candidates of every user.

        Args:
            batch: The users.
            bought: The task: ``any``, or ``new``, which leaves out what they bought before.
            day: The day of the request: items must be available on it.
            allowed_V: The shop's rules on top; None allows all.
            per_source: None takes what the rankers were trained with.

        Raises:
            ValueError: If the task is neither.
        """
        if bought not in TASKS:
            raise ValueError(f"task must be one of {TASKS}, got {bought!r}")
        allowed = self.catalog.available(day)
        if allowed_V is not None:
            allowed = allowed & allowed_V
        return retrieve(
            self.retrievers,
            batch,
            per_source=per_source or self.per_source,
            allowed=allowed & not_bought(batch) if bought == "new" else allowed,
        )

    def rank(
        self, batch: UserBatch, candidates: Candidates, item_features: pa.Table | ItemMatrix
    ) -> Floats:
        """The fused scores [B, C], higher is better, ``-inf`` at padding.

        Args:
            batch: The users of ``candidates``, in the same order.
            candidates: From ``retrieve``, possibly thinned by rules (set to padding).
            item_features: The whole catalog's, as a table with ``item_id`` or as a matrix.
        """
        return self.rank_parts(batch, candidates, item_features).scores_BC

    def rank_parts(
        self, batch: UserBatch, candidates: Candidates, item_features: pa.Table | ItemMatrix
    ) -> Ranked:
        """As ``rank``, with each ranker's own scores beside the fused ones."""
        items = self._matrix(item_features, batch)
        parts = [self._rank_some(some, taken, items) for some, taken in _chunks(batch, candidates)]
        return Ranked(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("scores_BC", "dnn_BC", "transformer_BC")
            )
        )

    def rank_users(
        self, batch: UserBatch, item_features: pa.Table | ItemMatrix, *, task: str, day: date
    ) -> Iterator[tuple[Candidates, Ranked]]:
        """Retrieve and rank any number of users, some at a time, in their order."""
        size = min(USERS_AT_ONCE, chunk_rows(batch))
        for start in range(0, len(batch), size):
            some = batch.take(slice(start, start + size))
            candidates = self.retrieve(some, bought=task, day=day)
            yield candidates, self.rank_parts(some, candidates, item_features)

    def contributions(
        self, batch: UserBatch, candidates: Candidates, item_features: pa.Table | ItemMatrix
    ) -> Mapping[str, Floats]:
        """How much each feature group moved the fused log-odds of each candidate, [B, C].

        A group's contribution is what the score loses when the group is set to "as usual" (the
        training mean); the history's is what the transformer loses when the history is empty. Real
        score differences, so they need not add up.
        """
        items = self._matrix(item_features, batch)
        parts = [
            self._explain_some(some, taken, items) for some, taken in _chunks(batch, candidates)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _rank_some(self, batch: UserBatch, candidates: Candidates, items: ItemMatrix) -> Ranked:
        assembled_BCF = self._assembler.assemble(batch, candidates, items)
        features_BCF = torch.from_numpy(assembled_BCF)
        with torch.inference_mode():
            dnn_BC = self.dnn(features_BCF).numpy()
            transformer_BC = self._transformer_scores(batch.history_BT, candidates, features_BCF)
        is_padding_BC = ~candidates.mask_BC
        fused_BC = self.fusion(dnn_BC, transformer_BC, counted_of(assembled_BCF, self.sources))
        for scores_BC in (dnn_BC, transformer_BC, fused_BC):
            scores_BC[is_padding_BC] = -np.inf
        return Ranked(fused_BC, dnn_BC, transformer_BC)

    def _transformer_scores(
        self, history_BT: npt.NDArray[np.int32], candidates: Candidates, features_BCF: torch.Tensor
    ) -> Floats:
        scores: Floats = self.transformer(
            torch.from_numpy(history_BT),
            torch.from_numpy(candidates.item_index_BC),
            features_BCF[:, :, item_slice(self.sources)],
        ).numpy()
        return scores

    def _explain_some(
        self, batch: UserBatch, candidates: Candidates, items: ItemMatrix
    ) -> Mapping[str, Floats]:
        assembled_BCF = self._assembler.assemble(batch, candidates, items)
        features_BCF = torch.from_numpy(assembled_BCF)
        with torch.inference_mode():
            seen_BC = self._transformer_scores(batch.history_BT, candidates, features_BCF)
            blank_BT = np.zeros_like(batch.history_BT)
            blank_BC = self._transformer_scores(blank_BT, candidates, features_BCF)
        lost = {
            group: self.fusion.dnn_slope * lost_BC
            for group, lost_BC in losses_by_group(self.dnn, features_BCF, self.sources).items()
        }
        if COUNTED in lost:
            counted_BC = counted_of(assembled_BCF, self.sources)
            lost[COUNTED] = lost[COUNTED] + self.fusion.counted_weight * counted_BC
        return {**lost, HISTORY_GROUP: self.fusion.transformer_slope * (seen_BC - blank_BC)}

    def _matrix(self, item_features: pa.Table | ItemMatrix, batch: UserBatch) -> ItemMatrix:
        """The item matrix at the day's first moment: the same all day, so made once a day."""
        if isinstance(item_features, ItemMatrix):
            return item_features
        day, held = batch.now.date(), self._items
        if held is not None and held[0] is item_features and held[1] == day:
            return held[2]
        if "item_id" not in item_features.column_names:
            ids = pa.array(self.catalog.item_ids[FIRST_ITEM:], pa.string())
            matrix = ItemMatrix.from_table(
                item_features.append_column("item_id", ids), self.catalog, midnight(day)
            )
        else:
            matrix = ItemMatrix.from_table(item_features, self.catalog, midnight(day))
        self._items = (item_features, day, matrix)
        return matrix


def _chunks(batch: UserBatch, candidates: Candidates) -> Iterator[tuple[UserBatch, Candidates]]:
    if len(batch) != len(candidates):
        raise ValueError(f"{len(batch)} users, but candidates of {len(candidates)}")
    for start in range(0, len(batch), USERS_AT_ONCE):
        rows = slice(start, start + USERS_AT_ONCE)
        yield batch.take(rows), candidates.take(rows)


def scatter(scores_BC: Floats, candidates: Candidates, width: int) -> Floats:
    """Candidates' scores as scores of the whole catalog, [B, V]; the rest is ``-inf``."""
    scores_BV = np.full((len(scores_BC), width), -np.inf, dtype=np.float32)
    np.put_along_axis(scores_BV, candidates.item_index_BC.astype(np.int64), scores_BC, axis=1)
    scores_BV[:, :FIRST_ITEM] = -np.inf
    return scores_BV

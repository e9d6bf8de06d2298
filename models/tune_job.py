"""What one trial of a search does: fit a retriever before some days, and judge it on them."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

import pyarrow as pa

from domain.errors import BadInputError
from models.catalog import Catalog
from models.data import TrainingData
from models.loop import ProgressCall
from models.retrieval import FitContext, Retriever, retriever_class
from models.retrieval.base import Embeddings, Watch
from models.retrieval.config import RetrieverConfig
from models.retrieval.spaces import space_of
from models.validation import Validation

VALIDATION_DAYS: Final = 14
"""Days before the cutoff that settings are judged on: two weeks hold every weekday twice."""


@dataclass(frozen=True)
class Job:
    """One retriever, its data and its validation.

    Attributes:
        name: Of ``RETRIEVERS``.
        config: Where the search begins: a preset's.
        data: What it learns from: everything before the first validated day.
        catalog: Of ``data``.
        validation: The days after.
        until: The first day that is not seen.
        text_VE: Text vectors of the catalog.
    """

    name: str
    config: RetrieverConfig
    data: TrainingData
    catalog: Catalog
    validation: Validation
    until: date
    text_VE: Embeddings

    @classmethod
    def of(
        cls,
        name: str,
        data: TrainingData,
        *,
        seen: pa.Table,
        until: date,
        config: RetrieverConfig,
        text_VE: Embeddings,
    ) -> Self:
        """Prepare it.

        Args:
            name: The retriever.
            data: Everything before ``validated_since(until)``.
            seen: ``RETRIEVAL_EXAMPLES`` before ``until``, those of ``data`` included.
            until: The first day that is not seen.
            config: A preset's.
            text_VE: Text vectors of the catalog of ``data``.

        Raises:
            BadInputError: If there is no such model, or it has no search space.
            CannotJudgeError: If too little happened on the days that are judged.
        """
        retriever_class(name)
        space_of(config)
        if data.until != validated_since(until):
            raise BadInputError(
                f"expected data before {validated_since(until)}, got data before {data.until}"
            )
        catalog = Catalog.from_table(data.items)
        validation = Validation.of(seen, catalog, cutoff=data.until, until=until)
        return cls(name, config, data, catalog, validation, until, text_VE)

    def key(self, *, seed: int) -> str:
        """What decides a search's trials, as eight hexadecimal digits: another's do not count."""
        digest = hashlib.sha256(self.data.hash().encode())
        for exam, _ in self.validation.exams:
            digest.update(exam.relevant_BV.indices.tobytes())
        digest.update(self.text_VE.tobytes())
        digest.update(repr((self.until, self.config, space_of(self.config), seed)).encode())
        return digest.hexdigest()[:8]

    def score(
        self,
        config: RetrieverConfig,
        *,
        watch: Watch,
        progress: ProgressCall,
    ) -> float:
        """Fit with these settings as ``train_alone`` does, and judge; higher is better."""
        model: Retriever = retriever_class(self.name).fit(
            self.data.interactions,
            self.catalog,
            until=self.data.until,
            config=config,
            context=FitContext(text_VE=self.text_VE, watch=watch, progress=progress),
        )
        return self.validation.score(model.scores)


def validated_since(until: date) -> date:
    """The first day that settings are judged on."""
    return until - timedelta(days=VALIDATION_DAYS)

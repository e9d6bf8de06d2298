"""The errors a caller can act on.

VitrineError
├── BadInputError            what was handed in cannot be used: a path, a file, a column
├── DataQualityError         a day of data broke its expectations; nothing moves on
│   ├── MissingFeedError     nothing was delivered for the day: wait, or ask the source
│   ├── EmptyDayError        it was delivered and has no rows: ask whether the shop was closed
│   └── PartialFeedError     it is there and too small: get it again
├── ReconciliationError      rows in are not rows out plus rows set aside
├── FeatureSchemaError       the store's features are not the ones a release was built with
├── StaleFeaturesError       the store holds nothing, or nothing recent enough
├── CannotJudgeError         too little data to say whether a model is good
├── PromotionRefusedError    the gate said no; the champion stays
└── TamperedReleaseError     a release's files are not the ones its manifest names

Wrong arguments inside the code are plain ``ValueError``.
"""

from collections.abc import Sequence


class VitrineError(Exception):
    """Any refusal that Vitrine explains in one sentence: what, where, expected, got."""


class BadInputError(VitrineError):
    """What was handed in cannot be used."""


class DataQualityError(VitrineError):
    """A day of data broke its expectations; nothing moves on.

    Attributes:
        rules: The names of what was broken: expectations, dbt tests.
    """

    def __init__(self, message: str, *, rules: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.rules = tuple(rules)


class MissingFeedError(DataQualityError):
    """Nothing was delivered for the day."""


class EmptyDayError(DataQualityError):
    """The day was delivered and has no rows, on a weekday on which the shop trades."""


class PartialFeedError(DataQualityError):
    """The day is there, and too small or over too early to be all of it."""


class ReconciliationError(VitrineError):
    """Rows in are not rows out plus the rows set aside."""


class FeatureSchemaError(VitrineError):
    """The store's features are not the ones the release was built with."""


class StaleFeaturesError(VitrineError):
    """The feature store holds nothing, or nothing recent enough."""


class CannotJudgeError(VitrineError):
    """There is too little data to say whether a model is good."""


class PromotionRefusedError(VitrineError):
    """The gate refused the challenger; the champion stays live."""


class TamperedReleaseError(VitrineError):
    """A release's files are not the ones its manifest names."""

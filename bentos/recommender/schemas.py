"""What may be asked and what is answered: every field bounded, so bad input ends here as a 4xx."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from domain.events import EventType, Surface

MAX_K: Final = 100
MAX_QUERY_LENGTH: Final = 512
MAX_ID_LENGTH: Final = 128
MAX_EVENTS: Final = 100
MAX_BODY_BYTES: Final = 256 * 1024
MAX_PRICE_CENTS: Final = 10**12


def _without_controls(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("control characters are not allowed")
    return text


def _with_words(text: str) -> str:
    if not text.strip():
        raise ValueError("it holds nothing but blanks")
    return text.strip()


def _text(length: int) -> StringConstraints:
    return StringConstraints(strict=True, min_length=1, max_length=length)


Identifier = Annotated[str, _text(MAX_ID_LENGTH), AfterValidator(_without_controls)]
Words = Annotated[
    str, _text(MAX_QUERY_LENGTH), AfterValidator(_without_controls), AfterValidator(_with_words)
]
Label = Annotated[str, _text(MAX_QUERY_LENGTH), AfterValidator(_without_controls)]
K = Annotated[int, Field(ge=1, le=MAX_K, strict=True)]
Cents = Annotated[int, Field(ge=0, le=MAX_PRICE_CENTS, strict=True)]


class Task(StrEnum):
    """``any``: repeats count. ``new``: what the user bought before is no candidate."""

    ANY = "any"
    NEW = "new"


class _Request(BaseModel):
    # A misspelt field would otherwise be ignored in silence.
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecommendRequest(_Request):
    """Who is looking, and where."""

    user_id: Identifier
    k: K = 10
    surface: Surface = Surface.HOME
    task: Task = Task.ANY
    session_id: Identifier | None = None


class SimilarRequest(_Request):
    """Which item to find others for; a ``user_id`` has the answer logged as impressions."""

    item_id: Identifier
    k: K = 10
    user_id: Identifier | None = None
    session_id: Identifier | None = None


class SearchRequest(_Request):
    """The words typed, and the filters set. Prices are inclusive, in cents."""

    query_text: Words
    k: K = 10
    user_id: Identifier | None = None
    session_id: Identifier | None = None
    category: Label | None = None
    brand: Label | None = None
    price_cents_min: Cents | None = None
    price_cents_max: Cents | None = None


class SuggestRequest(_Request):
    """What has been typed so far."""

    prefix: Words
    k: Annotated[int, Field(ge=1, le=20, strict=True)] = 8


class EventIn(_Request):
    """Something a user did. The service adds ``event_id`` and the shop's time where they lack."""

    event_type: EventType
    user_id: Identifier
    event_id: Identifier | None = None
    event_timestamp: AwareDatetime | None = Field(
        None, description="Ignored: the shop's own clock decides when it happened."
    )
    item_id: Identifier | None = None
    session_id: Identifier | None = None
    request_id: Identifier | None = None
    surface: Surface | None = None
    position: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    query_text: Label | None = None
    quantity: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    unit_price_cents: Cents | None = None
    propensity: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None


class EventsRequest(_Request):
    """Up to a hundred events at once."""

    events: Annotated[list[EventIn], Field(min_length=1, max_length=MAX_EVENTS)]


class UsersQuery(_Request):
    """How many users to name."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50


class ItemQuery(_Request):
    """Which item."""

    item_id: Identifier


class StatusQuery(_Request):
    """Nothing is asked."""


class ShownItem(BaseModel):
    """One item of an answer. ``rank`` and ``position`` are 1-based."""

    item_id: str
    title: str
    category: str | None
    brand: str | None
    price_cents: int | None
    image_url: str | None
    score: Annotated[float, Field(allow_inf_nan=False)]
    rank: int
    position: int
    source: str = Field(description="The retriever that argued most for it.")
    reason: str
    propensity: float = Field(description="Probability of having been shown; 1: no randomness.")


class Answer(BaseModel):
    """Items, best first. ``is_degraded``: a dependency is down, ``degraded_reason`` which."""

    request_id: str
    release_id: str
    user_id: str | None
    surface: Surface
    is_degraded: bool = False
    degraded_reason: str | None = None
    now: datetime
    items: list[ShownItem]


class SearchAnswer(Answer):
    """Items found; ``corrected_query_text`` differs from ``query_text`` if a word was mended."""

    query_text: str
    corrected_query_text: str


class Suggestion(BaseModel):
    """A completion. ``item_id`` for an item's title only."""

    text: str
    kind: Literal["item", "query", "category", "brand"]
    item_id: str | None = None


class Suggestions(BaseModel):
    """Completions, best first."""

    request_id: str
    release_id: str
    suggestions: list[Suggestion]


class EventsAnswer(BaseModel):
    """``logged`` is 0 where the event log cannot be written; the metrics say so too."""

    request_id: str
    release_id: str
    accepted: int
    logged: int


class ItemPage(BaseModel):
    """All there is to know about one item."""

    request_id: str
    release_id: str
    item_id: str
    title: str
    description: str | None
    category: str | None
    brand: str | None
    price_cents: int | None
    image_url: str | None
    is_available: bool


class ListedUser(BaseModel):
    """A user the storefront can be dressed for; how many items they bought, if that is known."""

    user_id: str
    purchase_count: int | None = None


class Users(BaseModel):
    """Some users the store knows."""

    request_id: str
    release_id: str
    users: list[ListedUser]


class Status(BaseModel):
    """Which release answers, in which time, of which shop."""

    request_id: str
    release_id: str
    clock: str
    now: datetime
    event_date: str | None
    source: str
    is_simulated_clicks: bool
    is_degraded: bool
    user_count: int | None
    item_count: int


class ErrorAnswer(BaseModel):
    """What was wrong: a short name and a sentence."""

    error: str
    detail: str
    request_id: str

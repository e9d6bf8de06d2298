"""Everything a release answers, as one object: the endpoints call it, tests call it, no HTTP."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bentos.recommender import metrics
from bentos.recommender import schemas as s
from bentos.recommender.event_log import EventLog, Row, impressions, posted, search_event
from bentos.recommender.explain import POPULARITY, Reason
from bentos.recommender.pipeline import Picked, Pipeline
from bentos.recommender.search import BM25, EMBEDDING, SearchIndex
from bentos.recommender.similar import similar
from bentos.recommender.store import StoreDownError
from bentos.recommender.suggest import Suggester
from domain.clock import shop_now, wall_now
from domain.events import Source, Surface
from domain.manifest import Manifest
from models.catalog import FIRST_ITEM

logger = logging.getLogger(__name__)


_SEARCH_REASONS = {BM25: "Matches “{}”", EMBEDDING: "Close in meaning to “{}”"}


class UnknownItemError(Exception):
    """The catalog has no such item."""


@dataclass(frozen=True)
class Shop:
    """A release at work.

    Attributes:
        manifest: What it is.
        pipeline: Recommendations.
        index: Search.
        suggester: Completions.
        log: Where events go.
        known_users: Some users the store knows, at most as many as asked for.
        wall: The wall clock.
    """

    manifest: Manifest
    pipeline: Pipeline
    index: SearchIndex
    suggester: Suggester
    log: EventLog
    known_users: Callable[[int], Sequence[str]]
    wall: Callable[[], datetime] = wall_now

    def now(self) -> datetime:
        """The shop's now, by the store's stamp: the one clock of answers, logs and reads."""
        stamp = self.pipeline.features.snapshot.stamp
        if stamp is None:
            return self.wall()
        return shop_now(self.wall(), clock=stamp.clock, last_date=stamp.event_date)

    def recommend(self, request: s.RecommendRequest, request_id: str) -> s.Answer:
        """Dress the window for one user, and log what was shown."""
        answer = self.pipeline.recommend(request, self.now(), request_id=request_id)
        if answer.is_degraded:
            metrics.DEGRADED.labels("recommend").inc()
        if all(shown.source == POPULARITY for shown in answer.items):
            metrics.FALLBACKS.inc()
        self._write(impressions(answer, session_id=request.session_id))
        return answer

    def similar(self, request: s.SimilarRequest, request_id: str) -> s.Answer:
        """Find items like one item.

        Raises:
            UnknownItemError: If there is no such item.
        """
        now = self.now()
        item = self._index_of(request.item_id)
        servable_V = self.pipeline.servable(now.date())
        picked, reasons = similar(
            self.pipeline.model, item, k=request.k, servable_V=servable_V, now=now
        )
        answer = self._dress(
            picked, reasons, request_id, now=now, user_id=request.user_id, surface=Surface.ITEM_PAGE
        )
        self._write(impressions(answer, session_id=request.session_id))
        return answer

    def search(self, request: s.SearchRequest, request_id: str) -> s.SearchAnswer:
        """Find items by words, and log the search and what was shown."""
        now = self.now()
        found = self.index.search(request, servable_V=self.pipeline.servable(now.date()))
        words = found.corrected_query_text
        reasons = [
            Reason(source, _SEARCH_REASONS[source].format(words)) for source in found.sources
        ]
        picked = Picked(found.items, found.scores, found.sources)
        shown = self._dress(
            picked, reasons, request_id, now=now, user_id=request.user_id, surface=Surface.SEARCH
        )
        answer = s.SearchAnswer(
            **dict(shown), query_text=request.query_text, corrected_query_text=words
        )
        rows = search_event(answer, query_text=request.query_text, session_id=request.session_id)
        self._write(rows + impressions(answer, session_id=request.session_id))
        return answer

    def suggest(self, request: s.SuggestRequest, request_id: str) -> s.Suggestions:
        """Complete what is being typed."""
        return s.Suggestions(
            request_id=request_id,
            release_id=self.manifest.release_id,
            suggestions=self.suggester.suggest(request.prefix, k=request.k),
        )

    def take_events(self, request: s.EventsRequest, request_id: str) -> s.EventsAnswer:
        """Log what users did, at the shop's now."""
        logged = self._write(posted(request.events, now=self.now()))
        return s.EventsAnswer(
            request_id=request_id,
            release_id=self.manifest.release_id,
            accepted=len(request.events),
            logged=logged,
        )

    def users(self, request: s.UsersQuery, request_id: str) -> s.Users:
        """Some users to choose from."""
        return s.Users(
            request_id=request_id,
            release_id=self.manifest.release_id,
            users=self._listed(self.known_users(request.limit)),
        )

    def item(self, request: s.ItemQuery, request_id: str) -> s.ItemPage:
        """Everything about one item.

        Raises:
            UnknownItemError: If there is no such item.
        """
        index = self._index_of(request.item_id)
        catalog = self.pipeline.catalog
        row = catalog.table.slice(index - FIRST_ITEM, 1).to_pylist()[0]
        shown = {name: row[name] for name in s.ItemPage.model_fields if name in row}
        return s.ItemPage(
            request_id=request_id,
            release_id=self.manifest.release_id,
            is_available=bool(catalog.available(self.now().date())[index]),
            **shown,
        )

    def status(self, _: s.StatusQuery, request_id: str) -> s.Status:
        """Which release answers, in which time, of which shop."""
        stamp = self.pipeline.features.snapshot.stamp
        return s.Status(
            request_id=request_id,
            release_id=self.manifest.release_id,
            clock=stamp.clock if stamp else "live",
            now=self.now(),
            event_date=stamp.event_date.isoformat() if stamp else None,
            source=self.manifest.source,
            # Nobody's life depends on these shops: one is invented, the other one closed in 2011.
            is_simulated_clicks=self.manifest.source in (Source.SIMULATED, Source.ONLINE_RETAIL),
            is_degraded=stamp is None or self.pipeline.features.schema_error is not None,
            user_count=None,
            item_count=len(self.pipeline.catalog) - FIRST_ITEM,
        )

    def _listed(self, user_ids: Sequence[str]) -> list[s.ListedUser]:
        """With how many items each bought, where the store says so."""
        try:
            bought = self.pipeline.features.users(user_ids).column("bought_item_ids").to_pylist()
        except StoreDownError:
            return [s.ListedUser(user_id=user_id) for user_id in user_ids]
        return [
            s.ListedUser(user_id=user_id, purchase_count=len(items or ()))
            for user_id, items in zip(user_ids, bought, strict=True)
        ]

    def _dress(
        self,
        picked: Picked,
        reasons: Sequence[Reason],
        request_id: str,
        *,
        now: datetime,
        **seen: object,
    ) -> s.Answer:
        answer = self.pipeline.dress(picked, reasons, now=now, request_id=request_id)
        return answer.model_copy(update=seen)

    def _index_of(self, item_id: str) -> int:
        index = int(self.pipeline.catalog.index_of([item_id])[0])
        if index < FIRST_ITEM:
            raise UnknownItemError(f"no item {item_id!r} in the catalog")
        return index

    def _write(self, rows: Sequence[Row]) -> int:
        logged = self.log.write(rows)
        if logged < len(rows):
            metrics.LOST.inc(len(rows) - logged)
        for row in rows[:logged]:
            metrics.EVENTS.labels(str(row["event_type"])).inc()
        return logged

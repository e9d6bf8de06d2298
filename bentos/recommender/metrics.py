"""What the service counts, for Prometheus, gathered from all workers.

BentoML's own metrics are off: they carry the path as a label, so every item page would be a new
series, forever.
"""

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS: Final = Counter(
    "vitrine_requests", "Requests by endpoint and HTTP status.", ["endpoint", "status"]
)
SECONDS: Final = Histogram(
    "vitrine_request_seconds",
    "Seconds to answer, by endpoint.",
    ["endpoint"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DEGRADED: Final = Counter(
    "vitrine_degraded_answers", "Answers given while a dependency was down.", ["endpoint"]
)
FALLBACKS: Final = Counter(
    "vitrine_fallback_answers", "Recommendations that hold nothing but popular items."
)
EVENTS: Final = Counter("vitrine_events_logged", "Events appended to the log.", ["event_type"])
LOST: Final = Counter("vitrine_events_not_logged", "Events that could not be appended to the log.")


def exposition() -> bytes:
    """All workers' counts as text; of this process alone where there are no workers."""
    gathered = CollectorRegistry()
    try:
        # BentoML gives its workers a folder to share; this raises where there is none.
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]
    except ValueError:
        return generate_latest(REGISTRY)
    return generate_latest(gathered)

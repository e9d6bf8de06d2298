"""The BentoML service: a sealed bundle in, a shop at ``/`` out.

The first thing that runs is the seal's check: nothing of the release is parsed before every file of
the bundle is the one that was sealed. See ``http`` for the endpoints.
"""

from pathlib import Path

from domain.errors import VitrineError
from domain.garbage import settle
from domain.seal import require_sealed
from domain.settings import Settings

BUNDLE = Path(__file__).resolve().parents[3]
RELEASE = BUNDLE / "src" / "released"
IS_BUNDLED = (BUNDLE / "bento.yaml").exists()

if IS_BUNDLED:
    try:
        require_sealed(BUNDLE)
    except VitrineError as error:
        raise SystemExit(f"vitrine refuses to start: {error}") from error

import bentoml  # noqa: E402 - the seal comes first
from bentoml import server_context  # noqa: E402

from bentos.recommender.http import make_app  # noqa: E402
from bentos.recommender.load import load_shop, require_features  # noqa: E402
from bentos.recommender.shop import Shop  # noqa: E402

SETTINGS = Settings()
SHOPS: list[Shop] = []


@bentoml.service(
    name="recommender",
    workers=SETTINGS.serve_workers,
    http={"host": SETTINGS.host, "port": SETTINGS.serve_port},
    traffic={"timeout": 30},
    # Workers are processes: BLAS threads in each only wait for one another.
    envs=[{"name": name, "value": "1"} for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")],
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
@bentoml.asgi_app(make_app(lambda: SHOPS[0]), path="/")
class Recommender:
    """Recommendations, search and the storefront."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        shop = load_shop(
            RELEASE,
            settings=SETTINGS,
            online_store=SETTINGS.online_address,
            worker=f"worker-{server_context.worker_index or 0}",
        )
        shop.pipeline.features.keep_fresh()
        SHOPS[:] = [shop]
        settle()

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def refuse_other_features() -> None:
        """Refuse to start on a store whose features are not the release's, and say which."""
        try:
            require_features(RELEASE, SETTINGS.online_address)
        except VitrineError as error:
            raise SystemExit(f"vitrine refuses to start: {error}") from error

    def __is_ready__(self) -> bool:
        return bool(SHOPS) and SHOPS[0].pipeline.features.schema_error is None

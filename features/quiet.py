"""Feast prints on standard output and warns about itself; a command's output is its receipt."""

import contextlib
import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from io import StringIO

_METRICS_FOLDERS = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what Feast prints to the debug log, and silence the warnings known to be harmless.

    Not for serving threads: it changes the process while it lasts.
    """
    printed = StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="On demand feature view is an experimental")
        warnings.filterwarnings("ignore", message=r"fetch_(arrow_table|record_batch)\(\) is depre")
        warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")
        yield
    for line in printed.getvalue().splitlines():
        logger.debug("feast: %s", line)


def keep_metrics_apart() -> None:
    """Keep Feast's Prometheus metrics from taking over those of the whole process.

    Feast imports its metrics on the first read, and that sets two environment variables which turn
    every Prometheus metric of this process and its children into files of a new folder in /tmp.
    Imported here, with the variables put back, it does not.
    """
    before = {name: os.environ.get(name) for name in _METRICS_FOLDERS}
    importlib.import_module("prometheus_client")  # Chooses between memory and files now.
    importlib.import_module("feast.metrics")
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

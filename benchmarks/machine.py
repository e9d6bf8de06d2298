"""What every benchmark says about where it ran, and how it writes its results down."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine(*packages: str) -> dict[str, object]:
    """Cores, memory, and the versions of Python and of those of ``packages`` that are there."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
        "python": platform.python_version(),
        **{name: version(name) for name in packages if _is_installed(name)},
    }


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def has_gpu() -> bool:
    """Whether networks are trained on a GPU here."""
    import torch

    return torch.cuda.is_available()


def where() -> str:
    """The hardware in a few words: the cores, and the GPU if there is one."""
    import torch

    count = len(os.sched_getaffinity(0))
    cores = f"{count} core{'s' * (count > 1)}"
    return f"{torch.cuda.get_device_name()}, {cores}" if has_gpu() else cores


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most of repeated measurements."""
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
        "n": len(values),
    }


def keep(name: str, result: Mapping[str, object], lines: Sequence[str]) -> None:
    """Write ``results/<name>.json`` and ``.md``, and print the table."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    text = "\n".join(lines) + "\n"
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)

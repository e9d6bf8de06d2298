"""From a release's folder to one ``.bento`` file that runs alone.

``bentoml build`` runs over a staging folder with exactly what serving needs (four rooms of code and
the release), never over the checkout: nothing else can slip in, and what is being edited meanwhile
cannot. What it built is sealed before it is exported, so the seal covers BentoML's own files too.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from domain.errors import VitrineError
from domain.files import replacing_file, write_json
from domain.seal import seal
from domain.settings import REPOSITORY

logger = logging.getLogger(__name__)

ROOMS: Final = ("bentos", "models", "features", "domain")
SERVICE: Final = "bentos.recommender.service:Recommender"
NAME: Final = "recommender"
RELEASED: Final = "released"
BUILD_SECONDS: Final = 600
_NOT_SERVED: Final = shutil.ignore_patterns("__pycache__", ".*", "*.md")


class BundleError(VitrineError):
    """BentoML could not build, import or serve the bundle; the message ends with its last words."""


def build(release: Path, *, release_id: str, seal_hash: str, into: Path, scratch: Path) -> Path:
    """Build, seal and export the bundle of a sealed release folder.

    Args:
        release: ``releases/<release>``.
        release_id: The bento's version.
        seal_hash: The release folder's seal; a label of the bento.
        into: Where ``<release>.bento`` is put, atomically.
        scratch: A folder of its own; emptied before and after.

    Raises:
        BundleError: If BentoML fails.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    stage, home = scratch / "stage", scratch / "home"
    try:
        _stage(release, stage, labels={"release": release_id, "seal": seal_hash})
        run_bentoml(["build", "--version", release_id, str(stage)], home=home, cwd=stage)
        bento = home / "bentos" / NAME / release_id
        shutil.rmtree(bento / "src" / "__pycache__", ignore_errors=True)
        seal(bento)
        bundle = bundle_path(into, release_id)
        _export(bento, bundle)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    logger.info("bundle %s: %.1f MB", bundle, bundle.stat().st_size / 1e6)
    return bundle


def bundle_path(releases: Path, release_id: str) -> Path:
    """Where a release's exported bundle lies."""
    return releases / f"{release_id}.bento"


def import_bundle(bundle: Path, *, home: Path) -> str:
    """Import a ``.bento`` file into the BentoML home ``home``; returns its tag.

    Raises:
        BundleError: If BentoML refuses the file; a damaged archive fails its own checksum.
    """
    tag = f"{NAME}:{bundle.name.removesuffix('.bento')}"
    if not (home / "bentos" / NAME / tag.split(":")[1]).exists():
        # BentoML resolves a relative path against the root folder: always absolute.
        run_bentoml(["import", str(bundle.resolve())], home=home, cwd=home.parent)
    return tag


def run_bentoml(arguments: Sequence[str], *, home: Path, cwd: Path) -> None:
    """Run the BentoML command line in a home of its own.

    Raises:
        BundleError: If it fails or takes longer than ten minutes.
    """
    home.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [sys.executable, "-m", "bentoml", *arguments],
            cwd=cwd,
            env=environment(home),
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        last = "\n".join((error.stderr or error.stdout).strip().splitlines()[-5:])
        raise BundleError(f"bentoml {arguments[0]} failed: {last}") from error
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"bentoml {arguments[0]} took longer than {BUILD_SECONDS} s") from error


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment BentoML runs in: its own home, no way to a checkout, nothing sent home.

    Of Vitrine's settings only those in ``more`` are handed on.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VITRINE_", "BENTO"))
    }
    # The scripts of this environment (uv, pip) must be found by subprocesses too.
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {
        **kept,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "FEAST_USAGE": "False",
        **more,
    }


def requirements() -> list[str]:
    """The ``serve`` group and the base dependencies, pinned to what is installed here.

    Outside a checkout there is nothing to read them from.
    """
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*content["project"]["dependencies"], *content["dependency-groups"]["serve"]]
    return sorted(_pinned(requirement) for requirement in asked)


def _pinned(requirement: str) -> str:
    name = re.split(r"[<>=!~; ]", requirement, maxsplit=1)[0]
    # A local build's suffix (torch 2.13.0+cpu) must not pin the machine that installs it.
    name, _, extras = name.rstrip("]").partition("[")
    installed = version(name).split("+", maxsplit=1)[0]
    chosen = f"[{','.join(sorted(extras.split(',')))}]" if extras else ""
    return f"{name}{chosen}=={installed}"


def _stage(release: Path, stage: Path, *, labels: Mapping[str, str]) -> None:
    for room in ROOMS:
        shutil.copytree(REPOSITORY / room, stage / room, ignore=_NOT_SERVED)
    shutil.copytree(release, stage / RELEASED)
    (stage / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    # JSON is YAML: BentoML reads it, and nothing has to be quoted by hand.
    write_json(
        stage / "bentofile.yaml",
        {
            "service": SERVICE,
            "name": NAME,
            "description": "Vitrine's recommender: see docs in its repository.",
            "labels": dict(labels),
            "include": [*(f"{room}/**" for room in ROOMS), f"{RELEASED}/**"],
            "exclude": ["**/__pycache__/**"],
            "python": {"requirements_txt": "requirements.txt", "lock_packages": False},
        },
    )


def _export(bento: Path, bundle: Path) -> None:
    """The archive ``bentoml export`` writes, with names in order and no times or owners in it.

    Weights hardly compress: the fastest preset is as small as the slowest to within a few percent.
    """
    with (
        replacing_file(bundle) as aside,
        tarfile.open(aside, "w:xz", preset=1, format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(bento.rglob("*")):
            archive.add(path, path.relative_to(bento), recursive=False, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member

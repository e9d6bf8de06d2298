"""Feast's registry: never cut, never empty, never one writer over the other."""

import logging
import os
import shutil
import subprocess
import sys

import pytest
from feast import Entity, FeatureStore, RepoConfig, ValueType
from feast.protos.feast.core.Registry_pb2 import Registry

from domain.errors import StaleFeaturesError
from domain.settings import REPOSITORY
from features.materialize import materialize
from features.online import FeatureReader
from features.registry_merge import merged
from features.store import VIEWS, apply, open_bundled, open_store, registry_file


def views(settings):
    return {view.name for view in open_store(settings).list_feature_views()}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_where_it_still_parses(path):
    """A protobuf cut between two fields is a protobuf: Feast reads it as a smaller store."""
    registry = Registry.FromString(path.read_bytes())
    del registry.feature_views[1:]
    path.write_bytes(registry.SerializeToString())


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "cut where it still parses": cut_where_it_still_parses,
    "garbage": lambda path: path.write_bytes(b"\xff" * 5_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_registry_is_replaced_by_its_last_good_copy_and_it_is_said(shop, caplog, damage):
    apply(shop)
    path = registry_file(shop)
    whole = path.read_bytes()
    DAMAGES[damage](path)
    with caplog.at_level(logging.WARNING):
        assert views(shop) == set(VIEWS)
    said = "missing" if damage == "missing" else "damaged"
    assert f"was {said}" in caplog.text
    assert "restored the last good copy" in caplog.text
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_good_copy_readers_are_refused_and_materialize_writes_it_anew(
    shop, damage, caplog
):
    materialize(shop)
    path = registry_file(shop)
    for copy in path.parent.glob("*.good"):
        # A copy that is damaged too: its name says what it should be.
        copy.write_bytes(b"no registry")
    DAMAGES[damage](path)
    with pytest.raises(StaleFeaturesError, match="no good copy"):
        FeatureReader(shop)
    materialize(shop)
    assert "written anew from feature_repo/" in caplog.text
    assert views(shop) == set(VIEWS)
    assert FeatureReader(shop).users(["u1"]).num_rows == 1


def test_a_registry_from_before_there_were_copies_gets_one(shop):
    apply(shop)
    path = registry_file(shop)
    for copy in path.parent.glob("*.good"):
        copy.unlink()
    assert views(shop) == set(VIEWS)
    assert len(list(path.parent.glob("*.good"))) == 1


def test_only_the_newest_copy_is_kept(shop):
    for _ in range(3):
        apply(shop)
    (copy,) = registry_file(shop).parent.glob("*.good")
    assert copy.read_bytes() == registry_file(shop).read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bundle_with_a_damaged_registry_is_refused(shop, tmp_path, damage):
    materialize(shop)
    registry = tmp_path / "registry.db"
    shutil.copyfile(registry_file(shop), registry)
    FeatureReader(shop.online_address, registry=registry)
    DAMAGES[damage](registry)
    with pytest.raises(StaleFeaturesError, match="registry"):
        open_bundled(registry, shop.online_address)


_WRITER = """
import sys
from feast import Entity, FeatureStore, RepoConfig, ValueType
path, name = sys.argv[1:]
store = FeatureStore(config=RepoConfig(
    project="p", provider="local", entity_key_serialization_version=3,
    registry={"path": path, "registry_store_type": "features.registry.HomeRegistryStore"},
    online_store={"type": "sqlite", "path": path + ".online"},
))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    store.apply(Entity(name=f"{name}{number}", join_keys=["k"], value_type=ValueType.STRING))
"""


@pytest.mark.slow
def test_two_writers_without_any_lock_lose_nothing(tmp_path):
    """Feast's own file registry kept 20 of these 40."""
    path = tmp_path / "feast" / "registry.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _WRITER, str(path), name],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    config = RepoConfig(
        project="p",
        provider="local",
        entity_key_serialization_version=3,
        registry={
            "path": str(path),
            "registry_store_type": "features.registry.HomeRegistryStore",
        },
        online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
    )
    names = {entity.name for entity in FeatureStore(config=config).list_entities()}
    assert names >= {f"{name}{number}" for name in "ab" for number in range(20)}


def _entity(name: str, description: str) -> Entity:
    return Entity(name=name, join_keys=["k"], description=description, value_type=ValueType.STRING)


def registry(**entities: str) -> Registry:
    made = Registry()
    for name, description in entities.items():
        made.entities.append(_entity(name, description).to_proto())
    return made


def held(found: Registry) -> dict[str, str]:
    return {entity.spec.name: entity.spec.description for entity in found.entities}


def test_what_one_added_changed_or_deleted_is_done_to_what_the_other_left():
    base = registry(kept="1", changed="1", gone="1", theirs_gone="1")
    theirs = registry(kept="1", changed="1", gone="1", added="theirs")
    ours = registry(kept="1", changed="2", theirs_gone="1", mine="ours")
    assert held(merged(base, theirs, ours)) == {
        "kept": "1",
        "changed": "2",
        "added": "theirs",
        "mine": "ours",
    }


def test_of_one_thing_changed_by_both_the_later_writers_stays():
    found = merged(registry(e="1"), registry(e="theirs"), registry(e="ours"))
    assert held(found) == {"e": "ours"}

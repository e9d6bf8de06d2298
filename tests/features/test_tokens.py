import stat

import pytest

from domain.errors import BadInputError
from domain.settings import Settings
from features.tokens import find_tokens, token_file


def test_tokens_are_made_once_and_only_their_owner_reads_them(home):
    first = find_tokens(Settings())
    assert find_tokens(Settings()) == first
    assert len(first.read.get_secret_value()) >= 32
    assert first.read != first.write
    assert stat.S_IMODE(token_file(Settings()).stat().st_mode) == 0o600
    assert first.write.get_secret_value() not in repr(first)


def test_a_token_that_is_asked_for_outranks_the_made_one(monkeypatch):
    made = find_tokens(Settings())
    monkeypatch.setenv("VITRINE_FEATURE_WRITE_TOKEN", "mine")
    found = find_tokens(Settings())
    assert found.write.get_secret_value() == "mine"
    assert found.read == made.read
    assert "mine" not in token_file(Settings()).read_text()


def test_both_asked_for_leave_no_file():
    find_tokens(Settings(feature_read_token="one", feature_write_token="two"))
    assert not token_file(Settings()).exists()


@pytest.mark.parametrize(("read", "write"), [("", "two"), ("one", ""), ("same", "same")])
def test_tokens_that_would_open_the_door_to_others_are_refused(read, write):
    with pytest.raises(BadInputError):
        find_tokens(Settings(feature_read_token=read, feature_write_token=write))

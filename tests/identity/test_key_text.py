"""The text of a key: its form, its checksum, its digest."""

import hashlib
import os
import re
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.ports import Document
from common.gateway.keys import (
    Key,
    KeyPolicy,
    key_digest,
    key_id_of,
    key_ref,
    new_key_text,
    refusal,
)

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@given(st.binary(min_size=32, max_size=32))
def test_is_prefix_random_part_and_checksum(random: bytes) -> None:
    text = new_key_text(lambda size: random[:size])

    assert re.fullmatch(r"ocg_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}", text)
    number = 0
    for digit in text[-6:]:
        number = number * 62 + BASE62.index(digit)
    assert number == zlib.crc32(text[:-6].encode())


@given(st.binary(min_size=32, max_size=32))
def test_is_known_by_its_sha_256(random: bytes) -> None:
    text = new_key_text(lambda size: random[:size])

    assert key_digest(text) == hashlib.sha256(text.encode()).hexdigest()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 52), st.sampled_from(BASE62 + "-_"))
def test_is_refused_when_one_character_is_wrong(random: bytes, place: int, wrong: str) -> None:
    text = new_key_text(lambda size: random[:size])
    damaged = text[:place] + wrong + text[place + 1 :]

    assert (key_digest(damaged) is None) == (damaged != text)


@given(st.text(max_size=80))
def test_is_not_any_other_text(text: str) -> None:
    assert key_digest(text) is None


@pytest.mark.parametrize("change", [str.upper, str.strip, lambda text: f"{text}\n"])
def test_is_not_its_own_digest(change: "type[str]") -> None:
    digest = key_digest(new_key_text(os.urandom)) or ""

    assert key_digest(change(digest)) is None


@pytest.mark.parametrize("suffix", ["\n", " ", "0", "é"])
def test_has_nothing_behind_it(suffix: str) -> None:
    assert key_digest(new_key_text(os.urandom) + suffix) is None


def a_key(expires_at: datetime | None = None, revoked_at: datetime | None = None) -> Key:
    return Key(
        digest="ab" * 32,
        key_id=key_id_of("ab" * 32),
        name="ci",
        line="ab" * 6,
        org="acme",
        team="search",
        agent="crawler",
        project=None,
        tags={"env": "prod"},
        may_act_as=("ranker",),
        policy=KeyPolicy(models=("gpt-*",), upstreams=("api.openai.com",), tags=("run",)),
        created_by="admin@example.com",
        created_at=NOW,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


def test_survives_a_document() -> None:
    key = a_key()

    assert Key.from_document(Document(key_ref(key.digest), key.to_data(), "1")) == key


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "expected"),
    [
        (None, None, None),
        (NOW.replace(hour=1), None, None),
        (NOW, None, "expired"),
        (None, NOW, "revoked"),
        (NOW, NOW, "revoked"),
    ],
)
def test_is_refused_from_its_last_moment_on(
    expires_at: datetime | None, revoked_at: datetime | None, expected: str | None
) -> None:
    assert refusal(a_key(expires_at, revoked_at), NOW) == expected

"""Which key of several a call takes, and which ones rest."""

from collections import Counter
from dataclasses import replace

import pytest

from common.core.secrets import Secret
from common.gateway.destinations import VENDORS, Credential, Destination
from common.gateway.pool import Failure, Pool, failure_of, names_objects
from common.llm.paths import Endpoint, resolve
from tests.gateway.making import SetClock
from tests.streams.fakes import ScriptedReply

THREE = tuple(Credential(name, Secret(name)) for name in ("a", "b", "c"))
OPENAI = replace(VENDORS["openai"], credentials=THREE)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def pool(clock: SetClock) -> Pool:
    return Pool(clock)


def _first(pool: Pool, loyalty: str, destination: Destination = OPENAI) -> str:
    return pool.order(destination, loyalty, bound=False)[0].name


def _endpoint(path: str, method: str = "POST") -> Endpoint:
    found = resolve(method, path, {})
    assert isinstance(found, Endpoint)
    return found


def _refused(status: int, body: bytes = b"", retry_after: bytes = b"") -> ScriptedReply:
    headers = [(b"Retry-After", retry_after)] if retry_after else []
    return ScriptedReply((body,), status, headers)


def test_calls_are_spread_by_weight(pool: Pool) -> None:
    weighted = replace(OPENAI, credentials=(replace(THREE[0], weight=3), THREE[1]))

    taken = Counter(_first(pool, f"session {n}", weighted) for n in range(4_000))

    assert 2_850 < taken["a"] < 3_150


def test_a_conversation_keeps_its_key(pool: Pool) -> None:
    assert {_first(pool, "session") for _ in range(100)} == {_first(pool, "session")}


def test_a_resting_key_moves_its_own_conversations_only(pool: Pool, clock: SetClock) -> None:
    sessions = [f"session {n}" for n in range(500)]
    before = {session: _first(pool, session) for session in sessions}

    pool.rest(OPENAI, "a", 30)

    after = {session: _first(pool, session) for session in sessions}
    assert {s for s in sessions if before[s] != after[s]} == {
        s for s in sessions if before[s] == "a"
    }
    assert "a" not in after.values()
    clock.advance(30)
    assert {session: _first(pool, session) for session in sessions} == before


def test_where_all_rest_the_one_that_is_back_first_is_tried(pool: Pool) -> None:
    for name, seconds in (("a", 30), ("b", 10), ("c", 600)):
        pool.rest(OPENAI, name, seconds)

    assert [each.name for each in pool.order(OPENAI, "session", bound=False)] == ["b"]


def test_a_call_about_objects_stays_with_its_key_even_when_that_rests(pool: Pool) -> None:
    [own] = pool.order(OPENAI, "line-1", bound=True)

    pool.rest(OPENAI, own.name, 600)

    assert pool.order(OPENAI, "line-1", bound=True) == [own]


def test_keys_of_one_name_at_two_upstreams_rest_apart(pool: Pool) -> None:
    other = replace(OPENAI, name="other")

    pool.rest(other, _first(pool, "session"), 600)

    assert len(pool.order(OPENAI, "session", bound=False)) == 3


@pytest.mark.parametrize(
    ("reply", "rests_s", "lasting"),
    [
        (_refused(429), 30, False),
        (_refused(429, b"{}", b"7"), 7, False),
        (_refused(429, b"{}", b"0.5"), 0.5, False),
        (_refused(429, b"{}", b"86400"), 300, False),
        (_refused(429, b"{}", b"-5"), 30, False),
        (_refused(429, b"{}", b"nan"), 30, False),
        (_refused(429, b"{}", b"Fri, 20 Nov 2026 12:00:20 GMT"), 20, False),
        (_refused(429, b'{"error":{"code":"insufficient_quota"}}', b"1"), 600, True),
        (_refused(400, b'{"error":{"message":"Your credit balance is too low"}}'), 600, True),
        (_refused(401), 600, True),
        (_refused(402), 600, True),
        (_refused(403), 600, True),
    ],
)
def test_a_refused_key_rests_as_long_as_the_refusal_lasts(
    reply: ScriptedReply, rests_s: float, lasting: bool, clock: SetClock
) -> None:
    [body] = reply.steps
    assert isinstance(body, bytes)

    failure = failure_of(reply, body, clock)

    assert failure == Failure(rests_s, lasting)


@pytest.mark.parametrize("status", [200, 400, 404, 413, 422, 500, 503, 529])
def test_other_answers_say_nothing_about_a_key(status: int, clock: SetClock) -> None:
    assert failure_of(ScriptedReply((), status), b'{"error":{}}', clock) is None


@pytest.mark.parametrize(
    ("endpoint", "body", "bound"),
    [
        (_endpoint("/openai/v1/chat/completions"), b'{"model":"m"}', False),
        (_endpoint("/openai/v1/responses"), b'{"model":"m"}', True),
        (_endpoint("/openai/v1/responses"), b'{"model":"m","store":false}', False),
        (
            _endpoint("/openai/v1/responses"),
            b'{"store":false,"previous_response_id":"resp_1"}',
            True,
        ),
        (_endpoint("/openai/v1/responses"), b"not JSON", True),
        (_endpoint("/openai/v1/responses/resp_1", "GET"), b"", True),
        (_endpoint("/openai/v1/files"), b"--x", True),
        (_endpoint("/openai/v1/batches"), b"{}", True),
        (_endpoint("/gemini/v1beta/models/g:generateContent"), b'{"cachedContent":"c"}', True),
        (_endpoint("/gemini/v1beta/interactions"), b'{"model":"m"}', True),
        (_endpoint("/gemini/v1beta/interactions"), b'{"model":"m","store":false}', False),
        *(
            (_endpoint("/gemini/v1beta/interactions"), b'{"store":false,"%b":"x"}' % name, True)
            for name in (
                *(b"previous_interaction_id", b"continuation_token", b"cached_content"),
                *(b"agent", b"environment"),
            )
        ),
        (_endpoint("/gemini/v1beta/interactions/v1_1", "GET"), b"", True),
        (_endpoint("/gemini/v1beta/interactions/v1_1", "DELETE"), b"", True),
        (_endpoint("/gemini/v1beta/interactions/v1_1/cancel"), b"", True),
        (_endpoint("/gemini/v1beta/models/g:generateContent"), b'{"cached_content":"c"}', True),
        (_endpoint("/gemini/v1beta/models/g:generateContent"), b"{}", False),
        (_endpoint("/gemini/v1beta/cachedContents"), b"{}", True),
        (_endpoint("/gemini/v1beta/cachedContents", "GET"), b"", True),
        (_endpoint("/gemini/v1beta/cachedContents/c", "PATCH"), b"{}", True),
        (Endpoint("openai", "unmetered", "POST", "/v1/x", "unread"), b"{}", True),
    ],
)
def test_knows_which_calls_name_objects(endpoint: Endpoint, body: bytes, bound: bool) -> None:
    assert names_objects(endpoint, body) is bound

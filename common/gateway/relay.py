"""A provider's reply on its way to the client.

Streams pass chunk by chunk, each in the turn it came in. A JSON reply up to 1 MiB is held until it
is whole, so that its cost can stand in a header; a longer one, sound, and any that is free or tells
no cost, passes as it comes. None is changed, but for a usage chunk that only the gateway asked for,
a comment with the cost where the client asks for it, and the installation's own key in an error.
"""

from collections.abc import AsyncIterator

from common.core.money import usd_text
from common.core.ports import Clock
from common.core.secrets import Secret
from common.gateway.answer import Answer, brownout_headers, header
from common.gateway.call import Call
from common.gateway.credentials import RawHeaders, answered_headers
from common.gateway.deadlines import Deadlines
from common.gateway.refusals import Refusal
from common.gateway.upstream import UpstreamDisconnected, UpstreamReply
from common.llm.forms import UsageTap
from common.llm.metered import Metered

HELD_BYTES = 1024 * 1024
READ_BYTES = 8 * 1024 * 1024
END_BYTES = 64 * 1024
"""What is kept of a long reply whose usage stands at an end: so much of each."""
MASKED_CHARACTERS = 12
"""A shorter key is no secret (the simulated provider's is ``sim``) and a word of other texts."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITHOUT_BODY = frozenset({204, 304})
"""A length would promise one, or is that of another reply (RFC 9110, 8.6)."""
_ERROR = 400


async def relay(
    call: Call,
    reply: UpstreamReply,
    answer: Answer,
    deadlines: Deadlines,
    *,
    idle_s: float,
    clock: Clock,
    strip: bool,
    masked: Secret | None,
) -> None:
    """Pass the reply to the client and leave in `call` what it told.

    Raises:
        Refusal: upstream_redirected.
        UpstreamDisconnected: the reply broke off.
        TimeoutError: nothing came for `idle_s` seconds, or the client left.
    """
    if reply.status in _REDIRECTS:
        # A client would follow it, with its keys and all it asked, to wherever it leads.
        raise Refusal(
            "upstream_redirected",
            f"{call.upstream_name} answered with a redirect ({reply.status}), which is not "
            "followed. If it is right, have this upstream's address set to where it leads.",
        )
    chunks = _timed(call, reply, deadlines, idle_s, clock)
    call.status = reply.status
    unread = call.form is None or call.facts.unmetered is not None
    if unread and not (reply.status >= _ERROR and masked is not None):
        await _relay_unread(call, reply, answer, chunks, deadlines)
    elif call.form is not None and reply.status < _ERROR and _is_event_stream(reply):
        tap = call.form.stream_tap(strip)
        answer.event_stream = True
        await _relay_stream(call, reply, answer, chunks, deadlines, tap=tap)
    elif call.form is not None and call.form.array_tap is not None and reply.status < _ERROR:
        tap = call.form.array_tap()
        await _relay_stream(call, reply, answer, chunks, deadlines, tap=tap)
    elif call.form is not None and call.form.byte_tap is not None and _is_sound_or_text(reply):
        tap = call.form.byte_tap()
        await _relay_stream(call, reply, answer, chunks, deadlines, tap=tap)
    else:
        await _relay_whole(call, reply, answer, chunks, deadlines, masked=masked)


async def _timed(
    call: Call, reply: UpstreamReply, deadlines: Deadlines, idle_s: float, clock: Clock
) -> AsyncIterator[bytes]:
    deadlines.expect("next_chunk", idle_s)
    async for chunk in reply.chunks():
        if call.first_chunk_s is None:
            call.first_chunk_s = round(clock.monotonic() - call.arrived_s, 6)
        call.response_bytes += len(chunk)
        deadlines.allow_client_time()
        yield chunk
        deadlines.expect("next_chunk", idle_s)


async def _relay_stream(
    call: Call,
    reply: UpstreamReply,
    answer: Answer,
    chunks: AsyncIterator[bytes],
    deadlines: Deadlines,
    *,
    tap: UsageTap,
) -> None:
    # No length: where the provider breaks off, an error event takes the place of the rest.
    headers = answered_headers(reply.headers, edited=True) + _gateway_headers(call)
    try:
        deadlines.allow_client_time()
        await answer.start(reply.status, headers)
        async for chunk in chunks:
            passed = tap.feed(chunk)
            if passed:
                await answer.body(passed)
            answer.has_end = tap.done
        deadlines.allow_client_time()
        rest = tap.finish()
        if rest:
            await answer.body(rest)
    except UpstreamDisconnected:
        if not tap.done:  # Behind the provider's own end there is nothing to miss.
            raise
    finally:
        call.metered = tap.result()
        call.cut = not tap.done and not call.metered.final
    if call.tells_cost and answer.event_stream and call.protocol.name != "gemini":
        await answer.body(_cost_comment(call))


async def _relay_unread(
    call: Call,
    reply: UpstreamReply,
    answer: Answer,
    chunks: AsyncIterator[bytes],
    deadlines: Deadlines,
) -> None:
    """Pass what tells no cost, a file perhaps, without keeping any of it."""
    headers = answered_headers(reply.headers, edited=reply.status in _WITHOUT_BODY)
    headers += _gateway_headers(call) + _cost_headers(call)
    async for chunk in chunks:
        if not answer.started:
            await answer.start(reply.status, headers)
        await answer.body(chunk)
    if not answer.started:
        deadlines.allow_client_time()
        await answer.start(reply.status, headers)


async def _relay_whole(
    call: Call,
    reply: UpstreamReply,
    answer: Answer,
    chunks: AsyncIterator[bytes],
    deadlines: Deadlines,
    *,
    masked: Secret | None,
) -> None:
    held: list[bytes] = []
    size = 0
    failed = reply.status >= _ERROR
    read_end = call.form.read_end if call.form is not None and not failed else None
    async for chunk in chunks:
        size += len(chunk)
        if answer.started:
            await answer.body(chunk)
        elif size > HELD_BYTES and not (failed and masked is not None):
            await answer.start(
                reply.status, answered_headers(reply.headers, edited=False) + _gateway_headers(call)
            )
            await answer.body(b"".join([*held, chunk]))
        if read_end is not None and answer.started:
            kept = b"".join([*held, chunk])
            held = [kept if len(kept) <= 2 * END_BYTES else kept[:END_BYTES] + kept[-END_BYTES:]]
        elif size <= READ_BYTES:
            held.append(chunk)
    body = b"".join(held)
    deadlines.allow_client_time()
    if read_end is not None and answer.started:
        call.metered = read_end(body)
    elif call.form is not None and not failed:
        call.metered = (
            call.form.read_reply(body)
            if size <= READ_BYTES
            else Metered(output_bytes=size, anomalies=("reply above 8 MiB was not read",))
        )
    if answer.started:
        return
    headers = answered_headers(reply.headers, edited=True)
    if failed and masked is not None and len(masked.reveal()) >= MASKED_CHARACTERS:
        body, headers = _without(masked.reveal().encode(), body, headers)
    headers += _length_header(reply.status, body) + _gateway_headers(call)
    await answer.start(reply.status, headers + _cost_headers(call))
    await answer.body(body)


def _without(secret: bytes, body: bytes, headers: RawHeaders) -> tuple[bytes, RawHeaders]:
    kept = [(name, value.replace(secret, b"***")) for name, value in headers]
    return body.replace(secret, b"***"), kept


def _length_header(status: int, body: bytes) -> RawHeaders:
    return [] if status in _WITHOUT_BODY else [header("content-length", str(len(body)))]


def _cost_headers(call: Call) -> RawHeaders:
    headers = [header("x-gateway-cost-source", call.cost.source)] if call.cost.source else []
    if call.cost.nanos is not None:
        headers.append(header("x-gateway-cost-usd", usd_text(call.cost.nanos)))
    return headers


def _cost_comment(call: Call) -> bytes:
    """A server-sent comment, which clients skip; nothing where the cost is unknown.

    It begins on a line of its own even where the provider's last line has no end.
    """
    nanos = call.cost.nanos
    return b"" if nanos is None else f"\n: cost_usd={usd_text(nanos)}\n\n".encode()


def _gateway_headers(call: Call) -> RawHeaders:
    headers = [header("x-gateway-request-id", call.id)]
    if call.provider is not None:
        headers.append(header("x-gateway-provider", call.provider))
    asked = call.model_asked or call.facts.model
    if asked is not None:
        headers.append(header("x-gateway-model-asked", asked))
    if call.facts.model is not None and call.facts.model != asked:
        headers.append(header("x-gateway-model", call.facts.model))
    if call.route is not None and not call.route.shadow:
        headers.append(header("x-gateway-route", call.route.rule))
    if len(call.attempts) > 1:
        headers.append(header("x-gateway-attempts", str(len(call.attempts))))
    if call.sent_s is not None:
        milliseconds = (call.sent_s - call.arrived_s) * 1000
        headers.append(header("server-timing", f"gw;dur={milliseconds:.2f}"))
    if call.spend is not None and call.spend.held:
        headers.append(header("x-gateway-hold-usd", usd_text(call.spend.nanos)))
    if call.fit is not None:
        headers.append(header("x-gateway-fit", call.fit))
    headers += _brownout_headers(call)
    if call.warnings:
        headers.append(header("x-gateway-warning", "; ".join(call.warnings)))
    return headers


def _brownout_headers(call: Call) -> RawHeaders:
    """What was given up of the request; nothing in normal mode, and where it is only recorded."""
    treatment = call.treatment
    if treatment is None or not treatment.enforced:
        return []
    headers = brownout_headers(treatment.decision.mode.word, treatment.decision.episode)
    if treatment.applied:
        done = ",".join(f"{each.name}={each.told}" for each in treatment.applied)
        headers.append(header("x-brownout-actions", done))
    asked = treatment.original.facts.model
    if asked is not None and asked != call.facts.model:
        headers.append(header("x-brownout-original-model", asked))
    return headers


def _is_event_stream(reply: UpstreamReply) -> bool:
    return any(kind.startswith(b"text/event-stream") for kind in _kinds(reply))


def _is_sound_or_text(reply: UpstreamReply) -> bool:
    """Whether a reply that is no error says that it is no JSON."""
    return reply.status < _ERROR and not any(b"json" in kind for kind in _kinds(reply))


def _kinds(reply: UpstreamReply) -> list[bytes]:
    return [value.lower() for name, value in reply.headers if name.lower() == b"content-type"]

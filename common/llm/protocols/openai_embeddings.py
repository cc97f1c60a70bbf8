"""OpenAI embeddings: facts and usage.

Source: OpenAI API reference, "Embeddings". `prompt_tokens` is all that is billed: vectors are not
counted. They are nearly all of a reply, up to a hundred megabytes, and its usage stands behind
them: it is read from there, and no vector is decoded where that succeeds.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import CallFacts, parse_object, parse_request, read_model
from common.llm.metered import Counts, Metered, UsageLine, numbers_only, unreadable
from common.llm.protocols import openai_bounds

_NO_OUTPUT = 0


def read_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, output_cap=_NO_OUTPUT, size_bytes=len(body))
    return CallFacts(
        readable=True,
        model=read_model(parsed.get("model")),
        output_cap=_NO_OUTPUT,
        size_bytes=len(body),
        bound=openai_bounds.read_embeddings(parsed),
    )


def read_reply(body: bytes) -> Metered:
    """Usage of a whole reply."""
    behind = _behind_the_vectors(body)
    if behind is not None and "usage" in behind and "model" in behind:
        return _metered(behind)
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    return _metered(parsed)


def read_end(end: bytes) -> Metered:
    """Usage of a reply of which only the end is there."""
    behind = _behind_the_vectors(end)
    if behind is None or "usage" not in behind:
        return Metered(anomalies=("no usage at the end of the reply",))
    return _metered(behind)


def _behind_the_vectors(reply: bytes) -> Mapping[str, Any] | None:
    """The members that follow the last array of the reply, which is the list of vectors."""
    closing = reply.rfind(b"]")
    rest = reply[closing + 1 :].lstrip() if closing >= 0 else b""
    return parse_object(b"{" + rest[1:]) if rest.startswith(b",") else None


def _metered(reply: Mapping[str, Any]) -> Metered:
    anomalies: list[str] = []
    usage = reply.get("usage")
    prompt = Counts(anomalies).read(usage, "prompt_tokens")
    if isinstance(usage, dict) and prompt is None:
        anomalies.append("usage lacks prompt_tokens")
    return Metered(
        lines=(UsageLine({"input_tokens": prompt}),) if prompt is not None else (),
        final=prompt is not None,
        model=read_model(reply.get("model")),
        usage_raw=numbers_only(usage) if isinstance(usage, dict) else None,
        anomalies=tuple(anomalies),
    )

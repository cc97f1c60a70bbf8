"""Making a cached content of Gemini, or keeping one longer: the provider bills its storage.

Source: Gemini API, "Context caching" and "Pricing": tokens times the hours they are kept. A cache
ends when its `ttl` does, when somebody deletes it, or later than that where its `ttl` is changed,
by a path that need not lead through here; the reply that makes it tells none of this.
"""

from common.llm.facts import CallFacts, parse_request, read_model


def read_facts(body: bytes) -> CallFacts:
    """Facts of either request. Only the one that makes a cache names a model."""
    parsed = parse_request(body)
    model = read_model(parsed.get("model")) if parsed is not None else None
    return CallFacts(
        readable=parsed is not None,
        model=model.removeprefix("models/") if model is not None else None,
        size_bytes=len(body),
    )

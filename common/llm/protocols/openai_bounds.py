"""What OpenAI chat completions, legacy completions and embeddings may use, read from a request.

Sources: OpenAI API reference, "Chat", "Completions (legacy)" and "Embeddings"; guides "Prompt
caching", "Predicted outputs" and "Priority processing" (a project may send what asks for no tier to
the priority tier).

A member that is not known here has no bound: what it does to the cost, nobody can say.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from common.llm.facts import LONGEST_NAME, BoundFacts, kind_of, names, objects, unknown_member

MOST_CHOICES = 128
"""The most that `n` may be."""

MOST_TRIED = 20
"""The most that `best_of` may be."""

UNPRICED_CACHE_WRITES = "cache_write_12h_tokens"
_PRICED_CACHE_LIFE = (None, "30m")
_STANDARD_TIERS = frozenset({"default", "standard"})
_CHEAPER_TIERS = frozenset({"flex"})
_ANY_TIER = (None, "auto")
_CHAT_MEMBERS = names(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs "
    "max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction "
    "presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream "
    "stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    # Of compatible providers: how to sample and whether to think, all of it within the cap.
    "chat_template_kwargs enable_thinking include_reasoning min_p prompt_mode random_seed "
    "reasoning reasoning_format repetition_penalty safe_prompt thinking top_a top_k"
)
_MESSAGE_MEMBERS = names(
    "role content name tool_calls tool_call_id refusal function_call reasoning "
    "reasoning_content reasoning_details annotations prefix cache_control"
)
_COMPLETION_MEMBERS = names(
    "model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n "
    "presence_penalty seed stop stream stream_options suffix temperature top_p user"
)
_EMBEDDING_MEMBERS = names("input model dimensions encoding_format user")
_TEXT_PARTS = frozenset({"text", "refusal"})
_LOCAL_TOOLS = frozenset({"function", "custom"})


def read_chat(parsed: Mapping[str, Any]) -> BoundFacts:
    """What a chat completion may use."""
    more_output = predicted_bytes(parsed.get("prediction"))
    unbounded = unknown_member(parsed, _CHAT_MEMBERS)
    if unbounded is None and more_output is None:
        unbounded = "prediction"
    modalities = parsed.get("modalities")
    tier, contexts = read_tier(parsed.get("service_tier"))
    return _chat_facts(
        unbounded=unbounded,
        open_tool=_open_tool(parsed.get("tools")),
        unpriced_unit=unpriced_cache_writes(parsed.get("prompt_cache_options")),
        beyond_bytes=_beyond_bytes(parsed.get("messages")),
        more_output=more_output or 0,
        most_candidates=_at_most(MOST_CHOICES, parsed.get("n")),
        service_tier=tier,
        contexts=contexts,
        text_output=modalities is None or modalities == ["text"],
    )


_chat_facts = lru_cache(maxsize=256)(BoundFacts)
"""Most requests say the same of it, and these facts are many."""


def read_completion(parsed: Mapping[str, Any]) -> BoundFacts:
    """What a legacy completion may use: each prompt is answered as often as the most tried."""
    texts = _texts(parsed.get("prompt"))
    tried = max(
        _at_most(MOST_CHOICES, parsed.get("n")), _at_most(MOST_TRIED, parsed.get("best_of"))
    )
    return BoundFacts(
        unbounded=unknown_member(parsed, _COMPLETION_MEMBERS),
        beyond_bytes=None if all(_is_text(each) for each in texts) else "prompt",
        inputs=max(1, len(texts)),
        most_candidates=max(1, len(texts)) * tried,
        text_output=True,
    )


def read_embeddings(parsed: Mapping[str, Any]) -> BoundFacts:
    """What embeddings may use. Each number of a list of token ids has a byte of its own."""
    texts = _texts(parsed.get("input"))
    return BoundFacts(
        unbounded=unknown_member(parsed, _EMBEDDING_MEMBERS),
        beyond_bytes=None if all(_is_text(each) for each in texts) else "input",
        inputs=max(1, len(texts)),
        text_output=True,
    )


def _is_text(given: object) -> bool:
    """A text, or the ids of its tokens."""
    if isinstance(given, list):
        return all(type(each) is int for each in given)
    return given is None or isinstance(given, str)


def read_tier(asked: object) -> tuple[str | None, tuple[tuple[str, frozenset[str]], ...]]:
    """The tier asked for, where it needs a price of its own, and those a reply may name."""
    if asked in _ANY_TIER:
        return None, ()
    tier = asked[:LONGEST_NAME] if isinstance(asked, str) else "unreadable"
    if tier in _STANDARD_TIERS:
        return None, (("service_tier", _STANDARD_TIERS),)
    if tier in _CHEAPER_TIERS:
        return tier, (("service_tier", _STANDARD_TIERS | _CHEAPER_TIERS),)
    return tier, ()


def unpriced_cache_writes(options: object) -> str | None:
    """The unit of cache writes that live longer than the ones with a price, if they are asked."""
    life = options.get("ttl") if isinstance(options, dict) else None
    return None if life in _PRICED_CACHE_LIFE else UNPRICED_CACHE_WRITES


def predicted_bytes(prediction: object) -> int | None:
    """Rejected tokens of a prediction are billed as output. None: it cannot be read."""
    if prediction is None:
        return 0
    content = prediction.get("content") if isinstance(prediction, dict) else None
    if isinstance(content, str):
        return len(content.encode())
    texts = [part.get("text") for part in objects(content)]
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    return sum(len(str(text).encode()) for text in texts)


def _at_most(limit: int, asked: object) -> int:
    """A number of replies; what cannot be read may be as many as there can be."""
    if asked is None:
        return 1
    return min(max(asked, 1), limit) if type(asked) is int else limit


def _texts(given: object) -> list[object]:
    """The separate inputs: a list of texts or of lists of token ids is several."""
    single = not isinstance(given, list) or all(type(each) is int for each in given)
    return [given] if single or not isinstance(given, list) else given


def _open_tool(tools: object) -> str | None:
    if tools is None:
        return None
    if not isinstance(tools, list):
        return "tools"
    kinds = (kind_of(tool) for tool in objects(tools))
    return next((kind for kind in kinds if kind not in _LOCAL_TOOLS), None)


def _beyond_bytes(messages: object) -> str | None:
    if not isinstance(messages, list):
        return None if messages is None else "messages"
    for message in messages:
        if not isinstance(message, dict):
            return "messages"
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                kind = kind_of(part) if isinstance(part, dict) else "content"
                if kind not in _TEXT_PARTS:
                    return kind
        if not message.keys() <= _MESSAGE_MEMBERS:
            return unknown_member(message, _MESSAGE_MEMBERS)
    return None

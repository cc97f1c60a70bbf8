"""Gemini interactions as the API's reference shows them, and what they cost."""

import json
from typing import Any

from hypothesis import strategies as st

from common.llm.costs import Cost, cost_of
from common.llm.forms import FORMS
from common.llm.metered import Metered
from common.llm.price_book import bundled_book
from tests.metering.recordings import RECEIVED_AT

FORM = FORMS["gemini_interactions"]
FLASH = "gemini-3-flash-preview"
REQUEST = json.dumps({"model": FLASH, "input": "Hello, how are you?"}).encode()
CAPPED = json.dumps(
    {"model": FLASH, "input": "Hi", "generation_config": {"max_output_tokens": 2_000}}
).encode()

USAGE = {
    "total_tokens": 49,
    "total_input_tokens": 7,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 7}],
    "total_cached_tokens": 0,
    "total_output_tokens": 20,
    "total_tool_use_tokens": 0,
    "total_thought_tokens": 22,
}
"""As the API's reference has it: 7 + 20 + 22 = 49."""

SEARCH = {"type": "google_search_call", "id": "s1", "arguments": {"queries": ["a", "b", ""]}}


def interaction_of(**members: Any) -> dict[str, Any]:
    told = {"id": "v1_1", "status": "completed", "object": "interaction", "model": FLASH}
    return {**told, "usage": USAGE, "service_tier": "standard", **members}


def reply_of(**members: Any) -> bytes:
    return json.dumps(interaction_of(**members)).encode()


def usage_of(**members: Any) -> dict[str, Any]:
    return {**USAGE, **members}


def event_of(kind: str, **members: Any) -> bytes:
    data = json.dumps({**members, "event_type": kind}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def cost_of_call(metered: Metered, request: bytes = REQUEST) -> Cost:
    facts = FORM.read_facts(request)
    return cost_of(metered, facts, book=bundled_book(), provider="google", at=RECEIVED_AT)


CREATED = event_of(
    "interaction.created",
    interaction={"id": "v1_1", "status": "in_progress", "object": "interaction", "model": FLASH},
)
WORKING = event_of("interaction.status_update", interaction_id="v1_1", status="in_progress")
SIGNATURE = "c2lnbmF0dXJlIG9mIHRob3VnaHRz" * 4
DELTAS: list[dict[str, Any]] = [
    {"type": "thought_signature", "signature": SIGNATURE},
    {"type": "text", "text": "Grüße, "},
    {"type": "text", "text": "日本 \n 1, 2"},
    {"type": "arguments_delta", "arguments": '{"city":"Zürich"}'},
]
COMPLETED = event_of("interaction.completed", interaction=interaction_of())
END = b"event: done\ndata: [DONE]\n\n"
EVENTS = [
    CREATED,
    WORKING,
    event_of("step.start", index=0, step={"type": "thought"}),
    event_of("step.delta", index=0, delta=DELTAS[0]),
    event_of("step.stop", index=0),
    event_of("step.start", index=1, step={"type": "model_output"}),
    event_of("step.delta", index=1, delta=DELTAS[1]),
    event_of("step.delta", index=1, delta=DELTAS[2]),
    event_of("step.stop", index=1, usage=usage_of(total_tokens=34, total_output_tokens=5)),
    event_of("step.start", index=2, step={"type": "function_call", "name": "f", "arguments": {}}),
    event_of("step.delta", index=2, delta=DELTAS[3]),
    event_of("step.stop", index=2),
    COMPLETED,
    END,
]
SHOWN_BYTES = (
    len(SIGNATURE) + len("Grüße, 日本 \n 1, 2".encode()) + len('{"city":"Zürich"}'.encode())
)
BACKGROUND = json.dumps({"model": FLASH, "input": "Hi", "background": True}).encode()

NAMES = ["steps", "usage", "status", "agent", "model", "type", "arguments", "queries", "delta"]
ANY = st.recursive(
    st.none() | st.text(max_size=3) | st.integers() | st.sampled_from(["google_search_call"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=10,
)

"""Every recorded reply is read and priced by its own vendor's list, or it is said why not."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common.llm.costs import Cost, cost_of
from common.llm.forms import FORMS
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from tests.metering.recordings import RECEIVED_AT, Recording, read_recording

OTHER_FORMS: dict[str, FormName] = {
    "gemini-embeddings": "gemini_embeddings",
    "gemini-openai-shim-tools": "openai_chat",
}
PROVIDERS = {"gemini": "google"}

NOT_FINAL = {
    "azure-chat-stream-no-usage": "estimated",
    "openai-chat-stream-no-usage-tools": "estimated",
    "gemini-embeddings": "usage_missing",
}
"""Replies that tell no usage: estimated upwards, or without a cost where bytes bound none."""

UNPRICED = {
    "groq-chat-stream-x-groq-usage": "unknown_model",
    "openrouter-chat-stream-error": "unknown_model",
}
"""Replies whose usage is known and whose model is not on their vendor's list."""

PRICED = Counter(
    {
        "openai_chat": 17,
        "anthropic_messages": 11,
        "gemini_content": 4,
        "gemini_content_stream": 4,
        "openai_responses": 7,
        "openai_embeddings": 1,
    }
)


def settled(folder: Path) -> Iterator[tuple[Recording, FormName, bool, Cost]]:
    """Every reply that is no error, its form, whether its usage is final, and its cost."""
    for path in sorted(folder.glob("*.json")):
        if "-error-4" in path.stem:
            continue
        recording = read_recording(folder, path.stem)
        form = OTHER_FORMS.get(path.stem, recording.form_name)
        read = FORMS[form]
        metered = recording.metered() if recording.streamed else read.read_reply(recording.reply)
        vendor = path.stem.partition("-")[0]
        cost = cost_of(
            metered,
            read.read_facts(recording.request),
            book=bundled_book(),
            provider=PROVIDERS.get(vendor, vendor),
            at=RECEIVED_AT,
        )
        yield recording, form, metered.final, cost


def test_it_prices_what_it_can_and_names_the_rest(provider_replies: Path) -> None:
    priced: Counter[str] = Counter()
    unpriced, not_final = {}, {}
    for recording, form, final, cost in settled(provider_replies):
        if not final:
            not_final[recording.name] = cost.reason or cost.source
        elif cost.nanos is None:
            unpriced[recording.name] = cost.reason
        else:
            priced[form] += 1

    assert (not_final, unpriced) == (NOT_FINAL, UNPRICED)
    assert priced == PRICED

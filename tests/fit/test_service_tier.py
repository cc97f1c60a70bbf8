"""The usual tier is asked for where a request left the tier to the project's settings."""

import pytest

from common.llm.edits import Edited, NotSafe, Reason
from common.llm.paths import FormName
from common.llm.service_tier import pin_usual_tier
from tests.fit.requests import recipient_of

MODEL = "gpt-4o"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a":1}', '{"a":1,"service_tier":"default"}'),
        ('{"service_tier":null}', '{"service_tier":"default"}'),
        ('{"service_tier" : "auto" }', '{"service_tier" : "default" }'),
    ],
)
def test_pins_the_usual_tier(before: str, after: str) -> None:
    edited = pin_usual_tier(before.encode(), recipient_of("openai_chat", MODEL))

    assert edited == Edited(after.encode(), "service_tier", "default")


@pytest.mark.parametrize(
    ("form", "body", "upstream", "reason"),
    [
        ("openai_chat", '{"service_tier":"priority"}', None, "tier_asked"),
        ("openai_chat", '{"service_tier":["auto"]}', None, "tier_asked"),
        ("openai_chat", '{"a":1}', "mistral", "tier_asked"),
        ("openai_completions", '{"a":1}', None, "tier_asked"),
        ("anthropic_messages", '{"a":1}', None, "tier_asked"),
        ("openai_chat", '{"a":1,"a":2}', None, "duplicate_members"),
    ],
)
def test_pins_no_tier_elsewhere(
    form: FormName, body: str, upstream: str | None, reason: Reason
) -> None:
    recipient = recipient_of(form, MODEL, upstream=upstream)

    assert pin_usual_tier(body.encode(), recipient) == NotSafe(reason)

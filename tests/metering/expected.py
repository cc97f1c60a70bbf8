"""What each recorded reply used and cost, worked out by hand from the providers' documentation.

Sources: OpenAI API reference "Chat" (`prompt_tokens` includes its details, `completion_tokens`
includes reasoning), Anthropic API reference "Messages" (`input_tokens` excludes cache tokens,
`iterations` are billed one by one), and both price pages. $1 per million tokens is 1,000 nanos a
token.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """Units as the price list names them, and the cost.

    `nanos` None: the model is not on the price list of the provider called, or its rate for a
    modality is not.
    """

    units: Mapping[str, int]
    finish_reason: str | None
    nanos: int | None = None


EXPECTED: Mapping[str, Expected] = {
    "openai-chat-plain": Expected(
        {"input_tokens": 13, "output_tokens": 11},
        "stop",
        # gpt-5, $1.25 and $10: 13 x 1,250 + 11 x 10,000
        126_250,
    ),
    "openai-chat-cached": Expected(
        {"input_tokens": 1149, "output_tokens": 261, "cache_read_tokens": 1024},
        "stop",
        # gpt-4o-mini, $0.15, $0.075 and $0.60: 125 x 150 + 1,024 x 75 + 261 x 600
        252_150,
    ),
    "openai-chat-cache-write": Expected(
        {"input_tokens": 4020, "output_tokens": 4, "cache_write_tokens": 4012},
        "stop",
        # gpt-5.6-sol, $4, written 1.25 x, $20: 8 x 4,000 + 4,012 x 5,000 + 4 x 20,000
        20_172_000,
    ),
    "openai-chat-reasoning-priority": Expected(
        {"input_tokens": 8, "output_tokens": 82, "output_reasoning_tokens": 64},
        "stop",
        # gpt-5 at the priority tier, $2.50 and $20: 8 x 2,500 + 82 x 20,000
        1_660_000,
    ),
    "openai-chat-audio": Expected(
        {"input_tokens": 64, "output_tokens": 9, "input_audio_tokens": 44}, "stop"
    ),
    "openai-chat-tools": Expected(
        {"input_tokens": 126, "output_tokens": 85, "output_reasoning_tokens": 64},
        "tool_calls",
        # gpt-5-mini, $0.25 and $2: 126 x 250 + 85 x 2,000
        201_500,
    ),
    "openai-chat-stream-usage-empty-choices": Expected(
        {"input_tokens": 53, "output_tokens": 15},
        "tool_calls",
        # gpt-4o-mini: 53 x 150 + 15 x 600
        16_950,
    ),
    "openrouter-chat-cache-cost": Expected(
        {
            "input_tokens": 2572,
            "output_tokens": 100,
            "cache_read_tokens": 2240,
            "cache_write_tokens": 329,
        },
        "length",
    ),
    "openrouter-chat-stream-usage-empty-choices": Expected(
        {"input_tokens": 254, "output_tokens": 5}, "stop"
    ),
    "openrouter-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 43, "output_tokens": 36, "output_reasoning_tokens": 13}, "stop"
    ),
    # It claims 11 reasoning tokens in 10 output tokens: the part is not believed.
    "openrouter-chat-stream-error": Expected({"input_tokens": 43, "output_tokens": 10}, "length"),
    "groq-chat-reasoning": Expected(
        {"input_tokens": 84, "output_tokens": 13, "output_reasoning_tokens": 3}, "stop"
    ),
    "groq-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 304, "output_tokens": 49, "output_reasoning_tokens": 23}, "tool_calls"
    ),
    "mistral-chat-cached": Expected(
        {"input_tokens": 268, "output_tokens": 5, "cache_read_tokens": 224}, "stop"
    ),
    "mistral-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 10, "output_tokens": 232}, "stop"
    ),
    "deepseek-chat-cached-reasoning": Expected(
        {
            "input_tokens": 563,
            "output_tokens": 116,
            "cache_read_tokens": 512,
            "output_reasoning_tokens": 60,
        },
        "tool_calls",
    ),
    "deepseek-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 12, "output_tokens": 89}, "stop"
    ),
    "anthropic-plain": Expected(
        {"input_tokens": 14, "output_tokens": 5},
        "end_turn",
        # claude-opus-4-6, $5 and $25: 14 x 5,000 + 5 x 25,000
        195_000,
    ),
    "anthropic-thinking": Expected(
        {"input_tokens": 31, "output_tokens": 30},
        "end_turn",
        # claude-opus-4-6: 31 x 5,000 + 30 x 25,000
        905_000,
    ),
    "anthropic-cache-write-5m": Expected(
        {
            "input_tokens": 7 + 1069,
            "output_tokens": 60,
            "cache_write_tokens": 1069,
            "cache_write_5m_tokens": 1069,
        },
        "tool_use",
        # claude-sonnet-4-5, $3, written 1.25 x, $15: 7 x 3,000 + 1,069 x 3,750 + 60 x 15,000
        4_929_750,
    ),
    "anthropic-cache-read-and-write": Expected(
        {
            "input_tokens": 6 + 85 + 1069,
            "output_tokens": 110,
            "cache_read_tokens": 1069,
            "cache_write_tokens": 85,
            "cache_write_5m_tokens": 85,
        },
        "end_turn",
        # claude-sonnet-4-5, read 0.1 x: 6 x 3,000 + 85 x 3,750 + 1,069 x 300 + 110 x 15,000
        2_307_450,
    ),
    "anthropic-web-search": Expected(
        {
            "input_tokens": 7744,
            "output_tokens": 353,
            "output_reasoning_tokens": 80,
            "web_searches": 1,
        },
        "end_turn",
        # claude-sonnet-4-5, a search $0.01: 7,744 x 3,000 + 353 x 15,000 + 10,000,000
        38_527_000,
    ),
    "anthropic-iterations-advisor": Expected(
        {"input_tokens": 1128 + 2518 + 1262, "output_tokens": 110 + 22 + 11},
        "end_turn",
        # claude-sonnet-5, $2 and $10: (1,128 + 1,262) x 2,000 + (110 + 11) x 10,000 = 5,990,000
        # its advisor claude-opus-4-8, $5 and $25: 2,518 x 5,000 + 22 x 25,000 = 13,140,000
        19_130_000,
    ),
    "anthropic-iterations-compaction": Expected(
        {
            "input_tokens": 100 + 55_096 + 229,
            "output_tokens": 131 + 5,
            "cache_write_tokens": 55_096,
            "cache_write_5m_tokens": 55_096,
        },
        "end_turn",
        # claude-sonnet-4-6, $3 and $15: (100 + 229) x 3,000 + 55,096 x 3,750 + 136 x 15,000
        209_637_000,
    ),
    "anthropic-stream-delta-without-input": Expected(
        {"input_tokens": 4 + 1165, "output_tokens": 201, "cache_write_tokens": 1165},
        "end_turn",
        # claude-3-5-sonnet, $3 and $15: 4 x 3,000 + 1,165 x 3,750 + 201 x 15,000
        7_395_750,
    ),
    "anthropic-stream-delta-changed-input": Expected(
        {"input_tokens": 4714, "output_tokens": 304},
        "end_turn",
        # claude-sonnet-4-6: 4,714 x 3,000 + 304 x 15,000
        18_702_000,
    ),
    "anthropic-stream-web-search": Expected(
        {"input_tokens": 11_665, "output_tokens": 186, "web_searches": 1},
        "end_turn",
        # claude-sonnet-4-5: 11,665 x 3,000 + 186 x 15,000 + 10,000,000
        47_785_000,
    ),
    "anthropic-stream-compaction": Expected(
        {
            "input_tokens": 100 + 55_096 + 181,
            "output_tokens": 83 + 8,
            "cache_read_tokens": 55_096,
        },
        "end_turn",
        # claude-sonnet-4-6: (100 + 181) x 3,000 + 55,096 x 300 + 91 x 15,000
        18_736_800,
    ),
}

UNTOLD: Mapping[str, str] = {
    "openai-chat-stream-no-usage-tools": "tool_calls",
    "azure-chat-stream-no-usage": "stop",
    # Its usage stands in `x_groq` alone, for several models at once.
    "groq-chat-stream-x-groq-usage": "stop",
}
"""Streams without a usage that is read, and how they finish."""

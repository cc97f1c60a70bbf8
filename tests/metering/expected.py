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
        {"input_tokens": 64, "output_tokens": 9, "input_audio_tokens": 44},
        "stop",
        # gpt-4o-audio-preview, $2.50 and $10, audio $40: 20 x 2,500 + 44 x 40,000 + 9 x 10,000
        1_900_000,
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
    "openai-responses-plain": Expected(
        {"input_tokens": 14, "output_tokens": 8},
        "completed",
        # gpt-4.1-nano, $0.10 and $0.40: 14 x 100 + 8 x 400
        4_600,
    ),
    "openai-responses-cached": Expected(
        {"input_tokens": 4020, "output_tokens": 5, "cache_read_tokens": 4012},
        "completed",
        # gpt-5.6-sol, $4, read 0.1 x, $20: 8 x 4,000 + 4,012 x 400 + 5 x 20,000
        1_736_800,
    ),
    "openai-responses-reasoning": Expected(
        {"input_tokens": 11, "output_tokens": 327, "output_reasoning_tokens": 320},
        "completed",
        # gpt-5-nano, $0.05 and $0.40: 11 x 50 + 327 x 400
        131_350,
    ),
    "openai-responses-web-search": Expected(
        {
            "input_tokens": 8236,
            "output_tokens": 74,
            "output_reasoning_tokens": 34,
            "web_searches": 1,
        },
        "completed",
        # gpt-5.2, $1.75 and $14, a search $0.01: 8,236 x 1,750 + 74 x 14,000 + 10,000,000
        25_449_000,
    ),
    "openai-responses-stream-completed": Expected(
        {"input_tokens": 21, "output_tokens": 3},
        "completed",
        # gpt-4.1, $2 and $8: 21 x 2,000 + 3 x 8,000
        66_000,
    ),
    "openai-responses-stream-reasoning": Expected(
        {"input_tokens": 53, "output_tokens": 469, "output_reasoning_tokens": 448},
        "completed",
        # gpt-5 at the flex tier, $0.625 and $5: 53 x 625 + 469 x 5,000
        2_378_125,
    ),
    "openai-responses-stream-web-search": Expected(
        {
            "input_tokens": 8234,
            "output_tokens": 79,
            "output_reasoning_tokens": 34,
            "web_searches": 1,
        },
        "completed",
        # gpt-5.2: 8,234 x 1,750 + 79 x 14,000 + 10,000,000
        25_515_500,
    ),
    "openai-embeddings": Expected(
        {"input_tokens": 4},
        None,
        # text-embedding-3-small, $0.02: 4 x 20
        80,
    ),
    "openrouter-chat-cache-cost": Expected(
        {
            "input_tokens": 2572,
            "output_tokens": 100,
            "cache_read_tokens": 2240,
            "cache_write_tokens": 329,
        },
        "length",
        # anthropic/claude-sonnet-4.6, $3, read 0.1 x, written 1.25 x, $15:
        # 3 x 3,000 + 2,240 x 300 + 329 x 3,750 + 100 x 15,000
        3_414_750,
    ),
    "openrouter-chat-stream-usage-empty-choices": Expected(
        {"input_tokens": 254, "output_tokens": 5},
        "stop",
        # anthropic/claude-sonnet-4.6: 254 x 3,000 + 5 x 15,000
        837_000,
    ),
    "openrouter-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 43, "output_tokens": 36, "output_reasoning_tokens": 13},
        "stop",
        # anthropic/claude-sonnet-4.5, $3 and $15: 43 x 3,000 + 36 x 15,000
        669_000,
    ),
    # It claims 11 reasoning tokens in 10 output tokens: the part is not believed. The list has no
    # free variant of the model.
    "openrouter-chat-stream-error": Expected({"input_tokens": 43, "output_tokens": 10}, "length"),
    "groq-chat-reasoning": Expected(
        {"input_tokens": 84, "output_tokens": 13, "output_reasoning_tokens": 3},
        "stop",
        # openai/gpt-oss-120b, $0.15 and $0.60: 84 x 150 + 13 x 600
        20_400,
    ),
    "groq-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 304, "output_tokens": 49, "output_reasoning_tokens": 23},
        "tool_calls",
        # openai/gpt-oss-120b: 304 x 150 + 49 x 600
        75_000,
    ),
    # It lists four models, each with the whole: the parts add up to four times as much, so the one
    # line stands at the reply's own model, groq/compound, which the list does not have.
    "groq-chat-stream-x-groq-usage": Expected({"input_tokens": 5003, "output_tokens": 359}, "stop"),
    "mistral-chat-cached": Expected(
        {"input_tokens": 268, "output_tokens": 5, "cache_read_tokens": 224},
        "stop",
        # mistral-large-latest, $2, cached or not, and $6: 268 x 2,000 + 5 x 6,000
        566_000,
    ),
    "mistral-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 10, "output_tokens": 232},
        "stop",
        # magistral-medium-latest, $2 and $5: 10 x 2,000 + 232 x 5,000
        1_180_000,
    ),
    "deepseek-chat-cached-reasoning": Expected(
        {
            "input_tokens": 563,
            "output_tokens": 116,
            "cache_read_tokens": 512,
            "output_reasoning_tokens": 60,
        },
        "tool_calls",
        # deepseek-v4-flash, $0.15, hit $0.003, $0.60: 51 x 150 + 512 x 3 + 116 x 600
        78_786,
    ),
    "deepseek-chat-stream-usage-with-choices": Expected(
        {"input_tokens": 12, "output_tokens": 89},
        "stop",
        # deepseek-chat, $0.27 and $1.10: 12 x 270 + 89 x 1,100
        101_140,
    ),
    "gemini-openai-shim-tools": Expected(
        # Its thoughts stand in the total alone: 109 - 35.
        {"input_tokens": 35, "output_tokens": 109 - 35},
        "tool_calls",
        # gemini-2.5-pro, $1.25 and $10: 35 x 1,250 + 74 x 10,000
        783_750,
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
    "gemini-thoughts": Expected(
        {"input_tokens": 9, "output_tokens": 9 + 34, "output_reasoning_tokens": 34},
        "STOP",
        # gemini-2.5-flash, $0.30 and $2.50: 9 x 300 + 43 x 2,500
        110_200,
    ),
    "gemini-tool-use-prompt-grounding": Expected(
        {"input_tokens": 32 + 2395, "output_tokens": 41 + 47, "output_reasoning_tokens": 47},
        "STOP",
        # gemini-2.5-flash, which read a page and searched for nothing: 2,427 x 300 + 88 x 2,500
        948_100,
    ),
    "gemini-cached-content": Expected(
        {
            "input_tokens": 3520,
            "output_tokens": 2 + 42,
            "cache_read_tokens": 3512,
            "output_reasoning_tokens": 42,
        },
        "STOP",
        # gemini-2.5-flash, read 0.1 x: 8 x 300 + 3,512 x 30 + 44 x 2,500
        217_760,
    ),
    "gemini-modalities-cached": Expected(
        {
            "input_tokens": 17_713,
            "output_tokens": 68 + 821,
            "cache_read_tokens": 17_379,
            "input_audio_tokens": 1917,
            "input_video_tokens": 15_780,
            "cache_audio_read_tokens": 1881,
            "cache_video_read_tokens": 15_483,
            "output_reasoning_tokens": 821,
        },
        "STOP",
        # gemini-2.5-flash, audio $1, read 0.1 x: (1,917 - 1,881) x 1,000 + 1,881 x 100
        # + (17,713 - 17,379 - 36) x 300 + (17,379 - 1,881) x 30 + 889 x 2,500
        3_000_940,
    ),
    "gemini-stream-thoughts": Expected(
        {"input_tokens": 18, "output_tokens": 80 + 35, "output_reasoning_tokens": 35},
        "STOP",
        # gemini-2.5-flash: 18 x 300 + 115 x 2,500
        292_900,
    ),
    "gemini-stream-prompt-count-changes": Expected(
        {"input_tokens": 13, "output_tokens": 8},
        "STOP",
        # gemini-2.0-flash, $0.10 and $0.40: 13 x 100 + 8 x 400
        4_500,
    ),
    "gemini-stream-tool-use-counts-change": Expected(
        {
            "input_tokens": 147 + 360,
            "output_tokens": 108 + 168,
            "output_reasoning_tokens": 168,
        },
        "STOP",
        # gemini-3-flash-preview, $0.50 and $3: 507 x 500 + 276 x 3,000
        1_081_500,
    ),
    "gemini-stream-web-search-grounding": Expected(
        {
            "input_tokens": 17 + 102,
            "output_tokens": 241 + 412,
            "output_reasoning_tokens": 412,
            "web_searches": 1,
        },
        "STOP",
        # gemini-2.5-pro, $1.25 and $10, a grounded prompt $0.035:
        # 119 x 1,250 + 653 x 10,000 + 35,000,000
        41_678_750,
    ),
}

UNTOLD: Mapping[str, str] = {
    "openai-chat-stream-no-usage-tools": "tool_calls",
    "azure-chat-stream-no-usage": "stop",
}
"""Streams without a usage that is read, and how they finish."""

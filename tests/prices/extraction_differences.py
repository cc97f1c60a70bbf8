"""Where our readers and the price list's extractor differ, on purpose, and why.

A test fails when one of these is no longer so, and when a difference shows up that is not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A reply that both read differently. None: the extractor refuses it, or we do not believe it.

    `reason` says who is right.
    """

    reason: str
    flavor: str
    reply: Mapping[str, Any]
    theirs: Mapping[str, int] | None
    ours: Mapping[str, int] | None


KINDS: Mapping[str, Difference] = {
    "iterations": Difference(
        "Anthropic bills each entry of iterations; the counts above them leave some out.",
        "anthropic/default",
        {
            "usage": {
                "input_tokens": 5,
                "output_tokens": 9,
                "iterations": [
                    {"input_tokens": 7, "output_tokens": 2, "model": "claude-opus-4-8"},
                    {"input_tokens": 5, "output_tokens": 9},
                ],
            }
        },
        {"input_tokens": 5, "output_tokens": 9},
        {"input_tokens": 12, "output_tokens": 11},
    ),
    "split_that_does_not_add_up": Difference(
        "A split of written tokens by time to live that contradicts their sum is not believed.",
        "anthropic/default",
        {
            "usage": {
                "input_tokens": 5,
                "output_tokens": 9,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 4},
            }
        },
        {
            "input_tokens": 15,
            "output_tokens": 9,
            "cache_write_tokens": 10,
            "cache_write_5m_tokens": 4,
        },
        {"input_tokens": 15, "output_tokens": 9, "cache_write_tokens": 10},
    ),
    "fees_of_responses": Difference(
        "OpenAI bills calls of its tools beside the usage: they stand in the output items.",
        "openai/responses",
        {
            "output": [{"type": "web_search_call"}, {"type": "file_search_call"}],
            "usage": {"input_tokens": 5, "output_tokens": 9},
        },
        {"input_tokens": 5, "output_tokens": 9},
        {"input_tokens": 5, "output_tokens": 9, "web_searches": 1, "storage_searches": 1},
    ),
    "fees_of_grounding": Difference(
        "Google bills searches beside the usage: they stand in the grounding metadata.",
        "google/default",
        {
            "modelVersion": "gemini-3-flash",
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9},
        },
        {"input_tokens": 5, "output_tokens": 9},
        {"input_tokens": 5, "output_tokens": 9, "web_searches": 2},
    ),
    "long_cache_writes": Difference(
        "Writes kept for 12 hours have a rate of their own.",
        "openai/responses",
        {
            "usage": {
                "input_tokens": 50,
                "output_tokens": 9,
                "input_tokens_details": {
                    "cache_write_tokens": 20,
                    "cache_write_tokens_details": {"ttl_12h_tokens": 8},
                },
            }
        },
        {"input_tokens": 50, "output_tokens": 9, "cache_write_tokens": 20},
        {
            "input_tokens": 50,
            "output_tokens": 9,
            "cache_write_tokens": 20,
            "cache_write_12h_tokens": 8,
        },
    ),
    "pictures_in_chat": Difference(
        "A chat's usage tells the tokens of its pictures, which some models have a rate for.",
        "openai/chat",
        {
            "usage": {
                "prompt_tokens": 50,
                "completion_tokens": 9,
                "prompt_tokens_details": {"image_tokens": 20},
            }
        },
        {"input_tokens": 50, "output_tokens": 9},
        {"input_tokens": 50, "output_tokens": 9, "input_image_tokens": 20},
    ),
    "pictures_without_details": Difference(
        "Events of image models tell no details: all that comes out of them is a picture.",
        "openai/images",
        {
            "usage": {
                "input_tokens": 5,
                "output_tokens": 9,
                "input_tokens_details": {"text_tokens": 5, "image_tokens": 0},
            }
        },
        {"input_tokens": 5, "input_text_tokens": 5, "output_tokens": 9},
        {"input_tokens": 5, "output_tokens": 9, "output_image_tokens": 9},
    ),
    "hidden_output": Difference(
        "Gemini's endpoint in OpenAI's format, and xAI, count reasoning in the total alone.",
        "google/chat",
        {"usage": {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}},
        {"input_tokens": 35, "output_tokens": 12},
        {"input_tokens": 35, "output_tokens": 74},
    ),
    "usage_elsewhere": Difference(
        "Groq puts the usage of some streams into x_groq alone.",
        "groq/default",
        {"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 9}}},
        None,
        {"input_tokens": 5, "output_tokens": 9},
    ),
    "cache_hits": Difference(
        "DeepSeek has told cached tokens in a place of its own for longer than in OpenAI's.",
        "deepseek/chat",
        {"usage": {"prompt_tokens": 5, "completion_tokens": 9, "prompt_cache_hit_tokens": 4}},
        {"input_tokens": 5, "output_tokens": 9},
        {"input_tokens": 5, "output_tokens": 9, "cache_read_tokens": 4},
    ),
    "search_sources": Difference(
        "xAI bills the pages that its live search read; the list has no rate for them.",
        "x-ai/chat",
        {"usage": {"prompt_tokens": 5, "completion_tokens": 9, "num_sources_used": 3}},
        {"input_tokens": 5, "output_tokens": 9},
        {"input_tokens": 5, "output_tokens": 9, "search_sources": 3},
    ),
    "part_above_its_whole": Difference(
        "A part that is more than its whole is not believed; the price list refuses to price it.",
        "openai/chat",
        {
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 10},
            }
        },
        {"input_tokens": 5, "output_tokens": 9, "output_reasoning_tokens": 10},
        {"input_tokens": 5, "output_tokens": 9},
    ),
    "modality_named_twice": Difference(
        "Details are a list: of a modality that it names twice, both counts are.",
        "google/default",
        {
            "usageMetadata": {
                "promptTokenCount": 50,
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 10},
                    {"modality": "AUDIO", "tokenCount": 20},
                ],
            }
        },
        {"input_tokens": 50, "input_audio_tokens": 10},
        {"input_tokens": 50, "input_audio_tokens": 30},
    ),
    "one_bad_part": Difference(
        "A part that is no count spoils no count beside it.",
        "openai/chat",
        {
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": -1},
            }
        },
        None,
        {"input_tokens": 5, "output_tokens": 9},
    ),
    "fraction": Difference(
        "Nobody sells half a token.",
        "openai/chat",
        {"usage": {"prompt_tokens": 5.5, "completion_tokens": 9}},
        {"input_tokens": 5.5, "output_tokens": 9},  # type: ignore[dict-item]  # what they say
        None,
    ),
    "more_than_a_trillion": Difference(
        "No call uses a trillion tokens; its cost would not fit where costs are kept.",
        "openai/chat",
        {"usage": {"prompt_tokens": 5, "completion_tokens": 2**40}},
        {"input_tokens": 5, "output_tokens": 2**40},
        None,
    ),
    "no_prompt": Difference(
        "Every call of Gemini has a prompt: without its count the call would look free.",
        "google/default",
        {"usageMetadata": {"candidatesTokenCount": 9}},
        {"output_tokens": 9},
        None,
    ),
}

FLAVORS: Mapping[str, str] = {
    "anthropic/chat": "cached_tokens stands in usage itself: read as plain input, which is dearer.",
    "databricks/default": "the same with cache_read_input_tokens and reasoning_tokens",
    "databricks/chat": "the same",
    "modal/chat": "reasoning_tokens stands in usage itself: no rate of its own",
    "perplexity/default": "reasoning, citations and searches are billed beside completion_tokens",
    "perplexity/responses": "cached tokens and searches have names of their own",
    "x-ai/default": "an older way of xAI's, with reasoning beside completion_tokens",
    "x-ai/chat": "reasoning comes on top of completion_tokens: we read it from total_tokens",
}
"""Ways to tell usage that no form reads wholly, because nothing is forwarded to them by name."""

UNSPOKEN: Mapping[str, str] = {
    "aws/default": "requests are signed; a protocol of its own",
    "azure/realtime": "WebSockets",
    "cloudflare/default": "an envelope of its own; its OpenAI format is read",
    "cloudflare/decisions": "not forwarded",
    "cohere/default": "a protocol of its own",
    "cohere/tokens": "a protocol of its own",
    "cohere/embeddings": "a protocol of its own",
    "cursor/usage-event": "a bill, no reply",
    "mistral/ocr": "not forwarded",
    "mistral/ocr_annotated": "not forwarded",
    "openai/realtime": "WebSockets",
    "openai/live": "WebSockets",
    "openrouter/decisions": "not forwarded",
    "openrouter/systemone": "not forwarded",
    "perplexity/decisions": "not forwarded",
    "typesafe/default": "not forwarded",
    "x-ai/realtime": "WebSockets",
}
"""Ways to tell usage that no form reads."""

RECORDED: Mapping[str, str] = {
    "anthropic-iterations-advisor": "iterations",
    "anthropic-iterations-compaction": "iterations",
    "anthropic-stream-compaction": "iterations",
    "gemini-openai-shim-tools": "hidden_output",
    "groq-chat-stream-x-groq-usage": "usage_elsewhere",
    "gemini-stream-web-search-grounding": "fees_of_grounding",
    "openai-responses-web-search": "fees_of_responses",
    "openai-responses-stream-web-search": "fees_of_responses",
    "openrouter-chat-stream-error": "part_above_its_whole",
}
"""Recorded replies that both read differently, and the kind of difference."""

UNTOLD = {
    "azure-chat-stream-no-usage",
    "gemini-embeddings",
    "openai-chat-stream-no-usage-tools",
}
"""Recorded replies in which neither finds a usage."""

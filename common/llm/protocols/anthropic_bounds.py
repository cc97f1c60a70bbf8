"""What an Anthropic message may use, read from a request.

Sources: Anthropic API reference, "Messages"; guides "Tool use", "Web search tool", "Web fetch
tool", "Prompt caching", "Structured outputs", "Data residency", "Fast mode".

- Only `cache_control` writes to the cache: for five minutes, or for an hour where it says so.
- Tools, and outputs of a given form, put a text of the provider before the prompt.
- Of the tools that the provider runs, searching and fetching end at `max_uses`, in the versions
  that do not write code of their own. The others have no end that a request states.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import (
    INPUT_ALLOWANCE_TOKENS,
    BoundFacts,
    CacheWrites,
    kind_of,
    names,
    objects,
    read_cap,
    unknown_member,
)

PREAMBLE_ALLOWANCE_TOKENS = 2048
"""The provider's text before a prompt with tools: recorded calls stay below."""

CLIENT_TOOL_ALLOWANCE_TOKENS = 1024
"""What the description of a tool adds that the request only names."""

_MEMBERS = names(
    "model messages max_tokens cache_control container context_management inference_geo "
    "mcp_servers metadata output_config output_format service_tier speed stop_sequences stream "
    "system temperature thinking tool_choice tools top_k top_p"
)
_WITHOUT_BOUND = ("mcp_servers", "container", "context_management")
_CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
_COUNTED_TOOLS = {"web_search_20250305": "web_searches", "web_fetch_20250910": None}
"""Tools that end at `max_uses`, and what a use is billed as beside its tokens."""

_TEXT_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_NO_VALUE: frozenset[str] = frozenset()


def read_message(parsed: Mapping[str, Any]) -> BoundFacts:
    """What a message may use."""
    content = _Content()
    content.take_marked(parsed)
    content.take(parsed.get("system"))
    content.take_messages(parsed.get("messages"))
    tools = _Tools(parsed.get("tools"), content)
    preambles = bool(tools.any) + _gives_a_form(parsed)
    allowance = preambles * PREAMBLE_ALLOWANCE_TOKENS or INPUT_ALLOWANCE_TOKENS
    return BoundFacts(
        unbounded=unknown_member(parsed, _MEMBERS)
        or next((name for name in _WITHOUT_BOUND if parsed.get(name)), None),
        open_tool=tools.open,
        beyond_bytes=content.beyond_bytes,
        allowance=allowance + tools.of_client * CLIENT_TOOL_ALLOWANCE_TOKENS,
        tool_calls=tools.uses if tools.open is None else 0,
        fees=(("web_searches", tools.searches),) if tools.searches else (),
        cache_writes=content.cache_writes,
        contexts=_contexts(parsed),
        text_output=True,
    )


class _Content:
    """The blocks of a request: what is no text, and what they write to the cache."""

    def __init__(self) -> None:
        self.beyond_bytes: str | None = None
        self.cache_writes: CacheWrites = "none"

    def take_messages(self, messages: object) -> None:
        if messages is not None and not isinstance(messages, list):
            self._beyond("messages")
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict):
                self.take(message.get("content"))
            else:
                self._beyond("messages")

    def take(self, content: object) -> None:
        if content is None or isinstance(content, str):
            return
        if not isinstance(content, list):
            self._beyond("content")
            return
        for block in content:
            if not isinstance(block, dict):
                self._beyond("content")
                continue
            if "cache_control" in block:
                self.take_marked(block)
            kind = kind_of(block)
            if kind == "tool_result":
                self.take(block.get("content"))
            elif kind not in _TEXT_BLOCKS:
                self._beyond(kind)

    def take_marked(self, part: Mapping[str, Any]) -> None:
        marked = part.get("cache_control")
        if marked is None:
            return
        life = marked.get("ttl") if isinstance(marked, dict) else "unreadable"
        if life not in (None, "5m"):
            self.cache_writes = "long"
        elif self.cache_writes == "none":
            self.cache_writes = "short"

    def _beyond(self, part: str) -> None:
        self.beyond_bytes = self.beyond_bytes or part


class _Tools:
    """The tools of a request: who runs them, and how often at most."""

    def __init__(self, tools: object, content: _Content) -> None:
        self.any = bool(tools)
        self.open: str | None = None
        self.of_client = 0
        self.uses = 0
        self.searches = 0
        if tools is not None and not isinstance(tools, list):
            self.open = "tools"
        for tool in objects(tools):
            content.take_marked(tool)
            self._take(tool)

    def _take(self, tool: Mapping[str, Any]) -> None:
        kind = kind_of(tool) if tool.get("type") is not None else "custom"
        if kind == "custom":
            return
        if kind.startswith(_CLIENT_TOOLS):
            self.of_client += 1
            return
        uses = read_cap(tool.get("max_uses"))
        if kind not in _COUNTED_TOOLS or not uses:
            self.open = self.open or kind
            return
        self.uses += uses
        if _COUNTED_TOOLS[kind] is not None:
            self.searches += uses


def _gives_a_form(parsed: Mapping[str, Any]) -> bool:
    config = parsed.get("output_config")
    asked = config.get("format") if isinstance(config, dict) else config
    return parsed.get("output_format") is not None or asked is not None


def _contexts(parsed: Mapping[str, Any]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Speed is the usual one unless asked; the region may be set for a whole workspace."""
    contexts = []
    if parsed.get("speed") in (None, "standard"):
        contexts.append(("speed", _NO_VALUE))
    if parsed.get("inference_geo") == "global":
        contexts.append(("inference_geo", _NO_VALUE))
    return tuple(contexts)

"""Without the tools that the provider runs: searches, code, pages, each with inferences of its own.

Sources: OpenAI API reference, "Chat" (`web_search_options`) and "Responses" (`tools`,
`max_tool_calls`, `include`); guide "Deep research" (needs a source of data); Anthropic
documentation, "Web search tool", "Web fetch tool", "Code execution tool", "Programmatic tool
calling"; Gemini API reference, "Caching" (`Tool`) and "Interactions".

What the client runs stays, always: functions, a shell, an editor, a computer. Nothing is dropped
that the request insists on, nor in a conversation that has begun, which may refer to it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from common.llm.edits import NotSafe
from common.llm.generation_config import find_config
from common.llm.paths import FormName
from common.llm.reductions.conversation import is_fresh
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import WithoutServerTools

_TOLD = "dropped"
_SEARCHES_ALWAYS = re.compile(r"(.*/)?.*(-search-|-search$|deep-research)")
_CHAT_SEARCH = "web_search_options"
_RUN_BY_PROVIDER: Mapping[FormName, re.Pattern[str]] = MappingProxyType(
    {
        "openai_responses": re.compile(
            r"web_search.*|file_search|code_interpreter|image_generation|mcp"
        ),
        "anthropic_messages": re.compile(r"(web_search|web_fetch|code_execution)_.*"),
        "gemini_interactions": re.compile(
            r"google_search|url_context|code_execution|google_maps|file_search|mcp_server|retrieval"
        ),
    }
)
"""Types of tools. Gemini's have none, and are told by their members."""

_OF_GEMINI = frozenset(
    {
        *("googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval"),
        *("urlContext", "url_context", "codeExecution", "code_execution"),
        *("googleMaps", "google_maps", "fileSearch", "file_search"),
    }
)
_ABOUT_TOOLS = ("tools", "tool_choice", "parallel_tool_calls", "toolConfig", "tool_config")
_FREE = (None, "auto", "none")
_OWN_KINDS = ("function", "custom")
_INCLUDED = ("web_search_call.", "file_search_call.", "code_interpreter_call.")


def drop_server_tools(request: Request, _wanted: WithoutServerTools) -> Reduced | Unsafe | None:
    """The request without the tools that its provider runs."""
    form, members = request.form, request.members
    kept = _kept(form, members)
    searches = form == "openai_chat" and members.get(_CHAT_SEARCH) is not None
    if kept is None and not searches:
        return None
    why = _why_not(request, kept)
    if why is not None:
        return Unsafe(why)
    left = {name: value for name, value in members.items() if name != _CHAT_SEARCH}
    if kept is not None:
        left["tools"] = kept
        left.pop("max_tool_calls", None)
        _forget_included(left)
        left = left if kept else _without_any(request, left)
    return Reduced(replace(request, members=left), _TOLD)


def _kept(form: FormName, members: Mapping[str, Any]) -> list[Any] | None:
    """The tools of the client's own; None where there are no others, or none can be read."""
    if form in ("gemini_content", "gemini_content_stream"):
        return _of_gemini(members)
    provider_runs = _RUN_BY_PROVIDER.get(form)
    return None if provider_runs is None else _of_kind(members, provider_runs)


def _why_not(request: Request, kept: list[Any] | None) -> str | None:
    if _SEARCHES_ALWAYS.match((request.recipient.model or "").lower()):
        return "model_needs_it"
    if kept is not None and _insists(request, kept):
        return "forced_tool"
    if request.members.get("container") is not None or _called_by_code(request.members):
        return "code_execution"
    return None if is_fresh(request.form, request.members) else "not_fresh"


def _of_kind(members: Mapping[str, Any], provider_runs: re.Pattern[str]) -> list[Any] | None:
    tools = members.get("tools")
    if not isinstance(tools, list):
        return None
    kept = [tool for tool in tools if not provider_runs.fullmatch(_kind(tool))]
    return kept if len(kept) < len(tools) else None


def _kind(tool: Any) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return kind if isinstance(kind, str) else ""


def _of_gemini(members: Mapping[str, Any]) -> list[Any] | None:
    """A tool of Gemini's is several: each member of it is one."""
    tools = members.get("tools")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        return None
    if not any(name in _OF_GEMINI for tool in tools for name in tool):
        return None
    left = [
        {name: value for name, value in tool.items() if name not in _OF_GEMINI} for tool in tools
    ]
    return [tool for tool in left if tool]


def _called_by_code(members: Mapping[str, Any]) -> bool:
    """Whether a tool of the client's may be called by code that the provider runs."""
    tools = members.get("tools")
    return isinstance(tools, list) and any(
        isinstance(tool, dict) and tool.get("allowed_callers") for tool in tools
    )


def _insists(request: Request, kept: list[Any]) -> bool:
    """Whether the request wants a tool to be called, other than one that is kept by name."""
    config = find_config(request.form, request.members)
    if isinstance(config, NotSafe):
        return True
    if request.form in ("gemini_content", "gemini_content_stream"):
        return not _is_free_in_gemini(request.members)
    within = config.members if config.name else request.members
    choice = within.get("tool_choice")
    if not isinstance(choice, dict):
        return choice not in _FREE
    kind = choice.get("type")
    if request.form == "anthropic_messages":
        names = [tool.get("name") for tool in kept if isinstance(tool, dict)]
        return kind not in _FREE and not (kind == "tool" and choice.get("name") in names)
    return request.form != "openai_responses" or kind not in _OWN_KINDS


def _is_free_in_gemini(members: Mapping[str, Any]) -> bool:
    tools = members.get("toolConfig", members.get("tool_config"))
    if tools is None:
        return True
    if not isinstance(tools, dict):
        return False
    calling = tools.get("functionCallingConfig", tools.get("function_calling_config"))
    mode = calling.get("mode") if isinstance(calling, dict) else calling
    return mode in (None, "AUTO", "NONE", "MODE_UNSPECIFIED", "VALIDATED")


def _forget_included(members: dict[str, Any]) -> None:
    """What a response was to tell of the tools' calls."""
    included = members.get("include")
    if not isinstance(included, list):
        return
    left = [name for name in included if not str(name).startswith(_INCLUDED)]
    if left:
        members["include"] = left
    else:
        del members["include"]


def _without_any(request: Request, members: Mapping[str, Any]) -> dict[str, Any]:
    """The request without tools, and without what is said about them."""
    left = {name: value for name, value in members.items() if name not in _ABOUT_TOOLS}
    config = find_config(request.form, left)
    if isinstance(config, NotSafe) or "tool_choice" not in config.members:
        return left
    free = {name: value for name, value in config.members.items() if name != "tool_choice"}
    return {**left, config.name: free}

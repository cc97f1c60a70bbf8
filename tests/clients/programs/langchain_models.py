"""Calls every LangChain chat model of a settings file in each of its ways; prints what came back.

`langchain_models.py SETTINGS WRONG_KEY WRONG_ADDRESS`: Python files that define `gpt`, `claude` and
`gemini`. Runs in the environment of the clients, not in that of the tests.
"""

import json
import runpy
import sys
from collections.abc import Callable
from typing import Any

from langchain_core.tools import (  # type: ignore[import-not-found] # only where it runs
    tool,
)
from pydantic import BaseModel

QUESTION = "What is the capital of France?"


class Capital(BaseModel):
    """A capital city."""

    city: str
    country: str


@tool  # type: ignore[untyped-decorator] # see the import
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def models(settings: str) -> dict[str, Any]:
    """The models of a file, and OpenAI's once more through Responses."""
    defined = runpy.run_path(settings)
    named: dict[str, Any] = {name: defined[name] for name in ("gpt", "claude", "gemini")}
    return {**named, "gpt_responses": named["gpt"].model_copy(update={"use_responses_api": True})}


def plain(model: Any) -> Any:
    reply = model.invoke(QUESTION)
    return {"text": reply.text, "usage": reply.usage_metadata}


def streamed(model: Any) -> Any:
    chunks = list(model.stream(QUESTION))
    return {"text": "".join(chunk.text for chunk in chunks), "chunks": len(chunks)}


def tool_call(model: Any) -> Any:
    """A tool called, answered, and the answer to that."""
    armed = model.bind_tools([weather])
    asked = [("user", "Ask weather about Paris")]
    reply = armed.invoke(asked)
    results = [weather.invoke(call) for call in reply.tool_calls]
    calls = [{"name": call["name"], "args": call["args"]} for call in reply.tool_calls]
    return {"calls": calls, "text": armed.invoke([*asked, reply, *results]).text}


def structured(model: Any) -> Any:
    return model.with_structured_output(Capital).invoke(QUESTION).model_dump()


def raised(model: Any) -> Any:
    try:
        model.invoke(QUESTION)
    except Exception as error:  # noqa: BLE001 - every client raises its own
        return {"types": [each.__name__ for each in type(error).__mro__], "text": str(error)}
    return None


WAYS: tuple[Callable[[Any], Any], ...] = (plain, streamed, tool_call, structured)


def main(settings: str, wrong_key: str, wrong_address: str) -> None:
    told = {
        name: {way.__name__: way(model) for way in WAYS} for name, model in models(settings).items()
    }
    for failing, file in (("wrong_key", wrong_key), ("wrong_address", wrong_address)):
        for name, model in models(file).items():
            told[name][failing] = raised(model)
    sys.stdout.write(json.dumps(told))


main(*sys.argv[1:])

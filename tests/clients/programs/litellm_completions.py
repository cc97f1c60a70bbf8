"""Calls every provider of a settings file through LiteLLM's SDK; prints what came back.

`litellm_completions.py SETTINGS WRONG_KEY WRONG_ADDRESS`: Python files that define `gpt`, `claude`
and `gemini`, each the arguments of `completion`. Runs in the environment of the clients.
"""

import json
import runpy
import sys
from collections.abc import Callable, Mapping
from typing import Any

from litellm import completion  # type: ignore[import-not-found] # only where it runs
from pydantic import BaseModel

QUESTION = "What is the capital of France?"
MESSAGES = [{"role": "user", "content": QUESTION}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

Settings = Mapping[str, Any]


class Capital(BaseModel):
    """A capital city."""

    city: str
    country: str


def plain(settings: Settings) -> Any:
    reply = completion(messages=MESSAGES, **settings)
    told = reply.usage
    usage = {"input_tokens": told.prompt_tokens, "output_tokens": told.completion_tokens}
    return {"text": reply.choices[0].message.content, "usage": usage}


def streamed(settings: Settings) -> Any:
    chunks = list(completion(messages=MESSAGES, stream=True, **settings))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    return {"text": "".join(texts), "chunks": len(chunks)}


def tool_call(settings: Settings) -> Any:
    """A tool called, answered, and the answer to that."""
    armed = {**settings, "tools": [WEATHER]}
    asked = [{"role": "user", "content": "Ask weather about Paris"}]
    message = completion(messages=asked, **armed).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls
    ]
    calls = [
        {"name": call.function.name, "args": json.loads(call.function.arguments)}
        for call in message.tool_calls
    ]
    history = [*asked, message.model_dump(), *results]
    last = completion(messages=history, **armed)
    return {"calls": calls, "text": last.choices[0].message.content}


def structured(settings: Settings) -> Any:
    reply = completion(messages=MESSAGES, response_format=Capital, **settings)
    return json.loads(reply.choices[0].message.content)


def raised(settings: Settings) -> Any:
    try:
        completion(messages=MESSAGES, **settings)
    except Exception as error:  # noqa: BLE001 - every provider's client raises its own
        return {"types": [each.__name__ for each in type(error).__mro__], "text": str(error)}
    return None


WAYS: tuple[Callable[[Settings], Any], ...] = (plain, streamed, tool_call, structured)


def settings_in(file: str) -> dict[str, Settings]:
    defined = runpy.run_path(file)
    return {name: defined[name] for name in ("gpt", "claude", "gemini")}


def main(settings: str, wrong_key: str, wrong_address: str) -> None:
    told = {
        name: {way.__name__: way(each) for way in WAYS}
        for name, each in settings_in(settings).items()
    }
    for failing, file in (("wrong_key", wrong_key), ("wrong_address", wrong_address)):
        for name, each in settings_in(file).items():
            told[name][failing] = raised(each)
    sys.stdout.write(json.dumps(told))


main(*sys.argv[1:])

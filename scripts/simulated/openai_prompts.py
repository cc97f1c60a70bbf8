"""What a chat request says to the model, and how many tokens that is.

Tokens are a quarter of the bytes, plus a few for each message, and for audio one for every 2,000
characters of its base64 text. A picture is as many tokens as its detail makes of it, and it stands
in the prompt: a prompt cache compares it and its detail, as OpenAI's guide to them says.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

_MESSAGE_TOKENS = 4
_REQUEST_TOKENS = 3
_PICTURE_TOKENS = {"low": 85, "high": 765, "original": 765}
_AUDIO_BYTES_PER_TOKEN = 2000


def prompt_of(body: Mapping[str, Any]) -> tuple[bytes, int, int]:
    """The text a prompt cache compares, all input tokens, and those of them that are audio."""
    messages = body["messages"]
    texts: list[str] = []
    if body.get("tools"):
        texts.append(orjson.dumps(body["tools"]).decode())
    audio = 0
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        for part in content if isinstance(content, list) else ():
            if part["type"] == "image_url":
                picture = part.get("image_url")
                detail = picture.get("detail") if isinstance(picture, dict) else None
                texts.append(picture_of(picture, detail))
            elif part["type"] == "input_audio":
                audio += 1 + len(str(part.get("input_audio"))) // _AUDIO_BYTES_PER_TOKEN
            else:
                texts.append(text_of(part))
        if message.get("tool_calls"):
            texts.append(orjson.dumps(message["tool_calls"]).decode())
    prompt = "".join(texts).encode()
    text = (len(prompt) + 3) // 4
    tokens = text + audio + _MESSAGE_TOKENS * len(messages) + _REQUEST_TOKENS
    return prompt, tokens, audio


def picture_of(picture: Any, detail: Any) -> str:
    """What stands for a picture in a prompt: as long as its tokens, another for another detail."""
    digest = hashlib.blake2b(orjson.dumps([picture, detail]), digest_size=16).hexdigest()
    size = 4 * _PICTURE_TOKENS.get(str(detail), 85)
    return digest.ljust(size, ".")


def text_of(value: Any) -> str:
    """The text in a content part or a list of them, without images and sounds."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return text_of(value.get("text") or value.get("refusal") or "")
    return "".join(text_of(part) for part in value) if isinstance(value, list) else ""


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """The text of the last message if a user wrote it, else nothing."""
    last = messages[-1]
    return text_of(last.get("content")) if last.get("role") == "user" else ""


def tool_name(tool: Mapping[str, Any]) -> str:
    """The name a tool is called by."""
    given = tool.get(tool["type"])
    return str(given.get("name", "")) if isinstance(given, dict) else ""

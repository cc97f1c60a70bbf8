"""Messages as a Workflow of Microsoft Teams takes them: an Adaptive Card in an envelope.

A message has 28 kB
(https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams). The text runs of a
RichTextBlock know no Markdown, so nothing that a text holds becomes a link.
"""

import json
from typing import Any

from common.incidents.told import (
    Severity,
    Told,
    clean,
    cut,
    moment_text,
    usable_links,
)

MOST_BYTES = 28_000
MOST_LINES = 20
FIRST_CHARS = 3_000
_COLOURS: dict[Severity, str] = {
    "info": "accent",
    "warning": "warning",
    "error": "attention",
    "critical": "attention",
}


def teams_body(told: Told, note: str) -> dict[str, Any]:
    """The JSON object of a message, in less than `MOST_BYTES`. `note` stands below it."""
    limit = FIRST_CHARS
    body = _body(told, note, limit)
    while _bytes(body) >= MOST_BYTES:
        limit //= 2
        body = _body(told, note, limit)
    return body


def _bytes(body: dict[str, Any]) -> int:
    # As it is sent: characters that are not ASCII take most when they are escaped.
    return len(json.dumps(body).encode())


def _body(told: Told, note: str, limit: int) -> dict[str, Any]:
    facts = [
        ("Since", moment_text(told.since)),
        ("Scope", told.scope),
        ("What is done", told.doing),
        ("Affected", told.affected),
    ]
    lines = [line for line in told.what if clean(line)]
    blocks = [
        _block(
            [
                {
                    **_run(f"{told.severity}: {told.title}", limit),
                    "weight": "bolder",
                    "size": "large",
                    "color": _COLOURS[told.severity],
                }
            ]
        ),
        *(_block([_run(line, limit)]) for line in lines[:MOST_LINES]),
        *(
            _block([{**_run(f"{label}: ", limit), "weight": "bolder"}, _run(text, limit)])
            for label, text in facts
        ),
    ]
    if len(lines) > MOST_LINES:
        blocks.append(_block([_run(f"and {len(lines) - MOST_LINES} more", limit)]))
    if note:
        blocks.append(_block([_run(note, limit)]))
    actions = [
        {"type": "Action.OpenUrl", "title": cut(clean(link.label) or "-", 100), "url": link.url}
        for link in usable_links(told.links)
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
        "actions": actions[:2],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _block(inlines: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": inlines}


def _run(text: str, limit: int) -> dict[str, Any]:
    # Spaces at an end stand between a label and its text.
    end = " " if text.endswith(" ") else ""
    return {"type": "TextRun", "text": cut(clean(text) or "-", limit) + end}

"""Messages as Slack's incoming webhooks take them.

Limits: https://docs.slack.dev/reference/block-kit/blocks (150 characters in a header, 3,000 in a
section's text, 10 fields of 2,000, 50 blocks). `&`, `<` and `>` would begin links and mentions.
"""

from typing import Any

from common.incidents.told import (
    CUT,
    SEVERITIES,
    Severity,
    Told,
    clean,
    cut,
    moment_text,
    units,
    usable_links,
)

HEADER_CHARS = 150
SECTION_CHARS = 3_000
FIELD_CHARS = 2_000
FALLBACK_CHARS = 3_000
MOST_BLOCKS = 50
MOST_LINES = 20

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SIGNS: dict[Severity, str] = dict(
    zip(SEVERITIES, ("[info]", "[warning]", "[error]", "[critical]"), strict=True)
)


def slack_body(told: Told, note: str) -> dict[str, Any]:
    """The JSON object of a message. `note` stands below it, if it is not empty."""
    title = f"{_SIGNS[told.severity]} {told.title}"
    facts = [
        ("Since", moment_text(told.since)),
        ("Scope", told.scope),
        ("What is done", told.doing),
        ("Affected", told.affected),
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(title, HEADER_CHARS)},
        *(_section(line) for line in _lines(told)),
        {"type": "section", "fields": [_field(label, text) for label, text in facts]},
    ]
    links = [
        f"<{link.url.translate(_ENTITIES)}|{escaped(link.label, 100)}>"
        for link in usable_links(told.links)
    ][:2]
    # A link cut in two would be none: what does not fit is left out whole.
    while links and units(" · ".join(links)) > SECTION_CHARS:
        links.pop()
    if links:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": " · ".join(links)}})
    if note:
        blocks.append(_section(note))
    return {"text": escaped(title, FALLBACK_CHARS), "blocks": blocks[:MOST_BLOCKS]}


def escaped(text: str, limit: int) -> str:
    """The text with Slack's three characters replaced, in at most `limit` characters; never empty.

    It is cut before an entity and not inside of it.
    """
    whole = clean(text) or "-"
    if units(whole.translate(_ENTITIES)) <= limit:
        return whole.translate(_ENTITIES)
    kept: list[str] = []
    left = limit - len(CUT)
    for each in cut(whole, limit):
        entity = each.translate(_ENTITIES)
        left -= units(entity)
        if left < 0:
            break
        kept.append(entity)
    return "".join(kept) + CUT


def _lines(told: Told) -> list[str]:
    lines = [line for line in told.what if clean(line)]
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more"]


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, limit), "emoji": False}


def _section(text: str) -> dict[str, Any]:
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": escaped(text, SECTION_CHARS), "verbatim": True},
    }


def _field(label: str, text: str) -> dict[str, Any]:
    head = f"*{label}*\n"
    return {
        "type": "mrkdwn",
        "text": head + escaped(text, FIELD_CHARS - len(head)),
        "verbatim": True,
    }

"""Inputs a reader nearly understands: JSON and event streams with one thing changed.

Changing bytes alone seldom yields another value of another type where a reader looks for one; these
changes are made to the decoded value and encoded again. What is nested deep is a change too.
"""

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_END = re.compile(rb"(\r\n\r\n|\n\n|\r\r)")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, 2**31, 2**40, 2**53 - 1, 2**53, 2**63, 2**64,
    10**30, "", "0", "text", "\u0000", "\u2028", "\U0001f600", "x" * 300, [], {}, [{}], {"": None},
)  # fmt: skip
_DEPTHS = (3, 260, 900, 1000)
_MOST_NODES = 400
_RAW = (
    b"\r", b"\n", b"\n\n", b"\r\n\r\n", b"data: ", b"data:", b": ", b"[DONE]", b'"usage":null',
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"\x00", b"\xff", b"\xc3", b"NaN", b"1e999",
    b'"\\ud800"',
)  # fmt: skip


def mutate(data: bytes, random: Random, pool: Sequence[bytes]) -> bytes:
    """The input with one change, or a few. `pool` are inputs of the same kind."""
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice((_change_json, _change_event, _change_bytes))(data, random, pool)
    return data


def _change_json(data: bytes, random: Random, pool: Sequence[bytes]) -> bytes:
    try:
        value = json.loads(data)
        donor = json.loads(random.choice(pool)) if random.random() < 0.2 else None
    except (ValueError, RecursionError):
        return _change_event(data, random, pool)
    places = list(_places(value))
    if not places:
        return _change_bytes(data, random, pool)
    owner, key = random.choice(places)
    change = random.randrange(7)
    if change == 0:
        del owner[key]
    elif change == 1 and isinstance(owner, dict):
        owner[random.choice([k for _, k in places if isinstance(k, str)])] = owner.pop(key)
    elif change == 2:
        other, at = random.choice(places)
        owner[key] = json.loads(_dumps(other[at], random))
    elif change == 3 and (gifts := list(_places(donor))):
        giver, at = random.choice(gifts)
        owner[key] = giver[at]
    elif change == 4:
        return _nested(value, owner, key, random)
    else:
        owner[key] = random.choice(_VALUES)
    return _dumps(value, random)


def _nested(value: Any, owner: Any, key: Any, random: Random) -> bytes:
    """The value with one part deep inside of lists or objects, written without recursion."""
    mark = "here it is deep"
    part, owner[key] = _dumps(owner[key], random), mark
    depth = random.choice(_DEPTHS)
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return _dumps(value, random).replace(
        json.dumps(mark).encode(), opening * depth + part + closing * depth
    )


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Owners and keys of the parts of a value, as far as they are few."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting and len(found) < _MOST_NODES:
        each = waiting.pop()
        keys: Any = (
            each if isinstance(each, dict) else range(len(each) if isinstance(each, list) else 0)
        )
        for key in keys:
            found.append((each, key))
            waiting.append(each[key])
    return found


def _dumps(value: Any, random: Random) -> bytes:
    try:
        text = json.dumps(
            value,
            ensure_ascii=random.random() < 0.5,
            separators=random.choice(((",", ":"), (", ", ": "))),
        )
    except RecursionError:
        return b"0"
    return text.encode(errors="surrogatepass")


def _change_event(data: bytes, random: Random, pool: Sequence[bytes]) -> bytes:
    pieces = _END.split(data)
    events, ends = pieces[::2], pieces[1::2]
    if not ends:
        return _change_bytes(data, random, pool)
    at = random.randrange(len(ends))
    change = random.randrange(6)
    if change == 0:
        events[at], ends[at] = b"", b""
    elif change == 1:
        events[at] += ends[at] + events[at]
    elif change == 2:
        other = random.randrange(len(ends))
        events[at], events[other] = events[other], events[at]
    elif change == 3:
        ends[at] = random.choice((b"\n\n", b"\r\n\r\n", b"\r\r", b"\n", b"\n\r\n"))
    else:
        before, prefix, text = events[at].partition(b"data: ")
        if text.startswith(b"{"):
            events[at] = before + prefix + _change_json(text, random, _data_of(pool, random))
    return b"".join(part for pair in zip(events, [*ends, b""], strict=True) for part in pair)


def _data_of(pool: Sequence[bytes], random: Random) -> list[bytes]:
    """The data of the events of one input, or an empty object."""
    found = re.findall(rb"^data: (\{.*)$", random.choice(pool), re.MULTILINE)
    return found or [b"{}"]


def _change_bytes(data: bytes, random: Random, pool: Sequence[bytes]) -> bytes:
    at, to = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    to = min(to, at + random.choice((1, 1, 2, 8, 64)))
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: data[:at] + data[to:],
        lambda: data[:to] + data[at:],
        lambda: data[:at] + random.choice(_RAW) + data[at:],
        lambda: data[:at] + random.choice(_RAW) + data[to:],
        lambda: data[:at] + random.randbytes(to - at) + data[to:],
        lambda: data[:at] + random.choice(pool)[at:],
    )
    return random.choice(changes)()

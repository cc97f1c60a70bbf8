"""A labelled set that is made up, so that the truth behind it is known.

A session has up to six requests, each longer than the one before. Whether a request needs the large
model is drawn with the probability of `TRUTH`, the logistic that is to be found again; where it
does, the small model's answer is worth 0.2 to 0.7 and the large one's 0.8 to 1, and elsewhere both
answers are worth the same. A twelfth of the latter is beyond either model and worth little. The
small model costs $0.25 for a million tokens read and $2 for as many written, the large one $3 and
$15; what is read is a quarter of the bytes.
"""

import json
import random
from collections.abc import Iterator
from math import log2

from common.routing.complexity import score
from scripts.route_evaluation.logistic import Fitted

SMALL, LARGE = "small-model", "large-model"
TRUTH = Fitted(
    -11.0,
    {
        "size": 0.5,
        "turns": 0.1,
        "tools": 0.3,
        "schema_depth": 0.4,
        "pictures": 0.0,
        "code_share": 2.0,
    },
)
_READ_NANOS = {SMALL: 250, LARGE: 3_000}
_WRITTEN_NANOS = {SMALL: 2_000, LARGE: 15_000}
_MOST_REQUESTS = 6


def seeded_lines(requests: int, seed: int) -> Iterator[str]:
    """So many labelled requests, two lines each; the same seed gives the same."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    session = left = 0
    size = tools = turns = 0
    for _ in range(requests):
        if not left:
            session += 1
            left = chance.randint(1, _MOST_REQUESTS)
            size = round(2 ** chance.uniform(8, 17))
            tools = chance.choice((0, 0, 0, 2, 5, 10))
            turns = chance.randint(1, 4)
        left -= 1
        yield from _request(chance, f"s{session}", size, tools, turns)
        turns += 2
        size += round(2 ** chance.uniform(8, 14))


def _request(
    chance: random.Random, session: str, size: int, tools: int, turns: int
) -> Iterator[str]:
    features = {
        "size": round(log2(size), 4),
        "turns": float(turns),
        "tools": float(tools),
        "schema_depth": float(chance.choice((0, 0, 0, 3, 5, 8))),
        "pictures": float(chance.choice((0, 0, 0, 1))),
        "code_share": round(chance.random(), 4) if chance.random() < 0.4 else 0.0,
    }
    large = chance.uniform(0.8, 1)
    if chance.random() < score(TRUTH.intercept, TRUTH.weights, features):
        small = chance.uniform(0.2, 0.7)
    elif chance.random() < 1 / 12:
        small = large = chance.uniform(0, 0.3)
    else:
        small = large
    written = chance.randint(50, 600)
    for model, worth in ((SMALL, small), (LARGE, large)):
        cost_nanos = size // 4 * _READ_NANOS[model] + written * _WRITTEN_NANOS[model]
        line = {
            "features": features,
            "model": model,
            "score": round(worth, 4),
            "cost_nanos": cost_nanos,
            "session": session,
        }
        yield json.dumps(line)

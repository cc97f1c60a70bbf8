"""The newest list and our layer over it, compiled into a book.

The layer was written for the list of the day of a release. What the list has learnt since counts
instead of it; what does not fit at all is refused, and waits for the next release.

Imported by the function `pricing` only: genai-prices is expensive to import. The units are those of
the installed package, since the list names units and does not say what they mean.
"""

from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from genai_prices import data_units

import common.llm
from common.core.errors import InvalidInput
from common.llm.compile_book import compile_book
from common.pricing.sources import Listed

_LLM = Path(common.llm.__path__[0])


def compile_listed(listed: Listed, at: datetime) -> bytes:
    """The book of a list that was read at this time.

    Raises:
        InvalidInput: something cannot be priced exactly, or our layer does not fit the list.
    """
    overlay, hashes = _layer()
    origin = {**listed.origin, "read_at": at.isoformat()}
    sources = {"genai-prices": origin, **hashes}
    try:
        return compile_book(
            listed.providers, data_units.unit_data, overlay, sources, may_be_newer=True
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # What a list can say goes beyond what the reader of its form refuses.
        raise InvalidInput(f"the list cannot be compiled: {error!r}", field="prices") from error


def shipped_bytes() -> bytes:
    """The book that ships with the code, as it is in its file."""
    return (_LLM / "book.json.gz").read_bytes()


@cache
def _layer() -> tuple[dict[str, Any], dict[str, Any]]:
    """What is laid over the list, and the digests of the files that say so."""
    overlay, limits = ((_LLM / f"{name}.yaml").read_bytes() for name in ("overlay", "limits"))
    laid_over = yaml.safe_load(overlay)
    laid_over["limits"] = yaml.safe_load(limits)["limits"] + laid_over.get("limits", [])
    return laid_over, {
        "limits": {"sha256": sha256(limits).hexdigest()},
        "overlay": {"sha256": sha256(overlay).hexdigest()},
    }

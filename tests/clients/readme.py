"""The blocks that set clients up: what a test uses is what README.md and docs/clients.md say."""

import re

from tests.repository.sources import ROOT

ADDRESS = "http://127.0.0.1:3000"
KEY = "ocg_..."
_FENCE = re.compile(r"^```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (\w+)=(\S+)$", re.MULTILINE)


def block(naming: str, *, address: str, key: str) -> str:
    """The one block in which `naming` stands, for a gateway and a key."""
    texts = [(ROOT / name).read_text() for name in ("README.md", "docs/clients.md")]
    found = [text for text in _FENCE.findall("\n".join(texts)) if naming in text]
    assert len(found) == 1, f"{len(found)} blocks contain {naming!r}"
    return str(found[0]).replace(ADDRESS, address).replace(KEY, key)


def variables(naming: str, *, address: str, key: str) -> dict[str, str]:
    """The variables that the block of that name exports."""
    return dict(_EXPORT.findall(block(naming, address=address, key=key)))

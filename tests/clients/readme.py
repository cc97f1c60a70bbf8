"""The blocks of README.md that set clients up: what a test uses is what the README says."""

import re

from tests.repository.sources import ROOT

ADDRESS = "http://127.0.0.1:3000"
KEY = "ocg_..."
_FENCE = re.compile(r"^```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (\w+)=(\S+)$", re.MULTILINE)


def block(naming: str, *, address: str, key: str) -> str:
    """The one block of the README in which `naming` stands, for a gateway and a key."""
    blocks = _FENCE.findall((ROOT / "README.md").read_text())
    found = [text for text in blocks if naming in text]
    assert len(found) == 1, f"{len(found)} blocks of README.md contain {naming!r}"
    return str(found[0]).replace(ADDRESS, address).replace(KEY, key)


def variables(naming: str, *, address: str, key: str) -> dict[str, str]:
    """The variables that the block of that name exports."""
    return dict(_EXPORT.findall(block(naming, address=address, key=key)))

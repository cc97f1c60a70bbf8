"""The peers that can be had here, and one line for each that cannot."""

from scripts.benchmark.peers import litellm, portkey
from scripts.benchmark.targets import Peer
from scripts.environments import IndexUnreachable


def installed_peers() -> tuple[list[Peer], list[str]]:
    """Peers, installed where they are not yet, and what is left out and why."""
    found: list[Peer] = []
    left_out = []
    try:
        found.append(litellm.installed())
    except IndexUnreachable as error:
        left_out.append(f"LiteLLM is left out: {error}.")
    try:
        found.append(portkey.installed())
    except portkey.CannotInstall as error:
        left_out.append(f"Portkey is left out: {error}.")
    return found, left_out

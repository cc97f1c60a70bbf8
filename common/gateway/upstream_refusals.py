"""What a client is told when an upstream gave no whole reply.

An upstream is called by its name: its address is for whoever runs the gateway, in events and logs.
"""

from common.gateway.refusals import Refusal
from common.gateway.upstream import (
    ProxyFailed,
    UpstreamError,
    UpstreamMalformed,
    UpstreamUnreachable,
)


def refusal_of(error: UpstreamError, name: str) -> Refusal:
    """The answer in place of a reply of the upstream of this name."""
    if isinstance(error, ProxyFailed):
        return Refusal(
            "upstream_unreachable",
            f"The gateway's own proxy, that of HTTPS_PROXY, made no connection to {name} ({error})."
            " Nothing was sent; try again, and tell the gateway's operator if it goes on.",
        )
    if isinstance(error, UpstreamUnreachable):
        return Refusal(
            "upstream_unreachable",
            f"No connection to {name} ({error}). Nothing was sent; try again, and look at the "
            "provider's status page if it goes on.",
        )
    if isinstance(error, UpstreamMalformed):
        return Refusal(
            "upstream_disconnected",
            f"{name} sent what is no HTTP reply ({error}). What it generated may be billed, and "
            "the same call would meet the same: have this upstream's address looked at.",
            helps_to_retry=False,
        )
    return Refusal(
        "upstream_disconnected",
        f"{name} closed the connection before the reply was complete ({error}). What it generated "
        "until then may be billed.",
    )

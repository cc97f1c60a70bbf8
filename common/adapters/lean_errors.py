"""Why a call over our transport got no whole reply, and whether any of it can have been sent.

Their texts hold no header, no address and no body.
"""

from common.gateway.upstream import (
    ProxyFailed,
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamUnreachable,
)


class NotConnected(UpstreamUnreachable):
    """No connection could be made."""


class ConnectedTooLate(UpstreamUnreachable):
    """No connection was made in time."""


class NoPlace(UpstreamUnreachable):
    """All connections that an origin may have were in use for too long."""


class NotProxied(ProxyFailed):
    """The proxy could not be asked, or did not connect to the origin."""


class NotARequest(UpstreamUnreachable):
    """It cannot be written as HTTP/1.1, or would be read as something else on the other side."""


class BrokeOff(UpstreamDisconnected):
    """The connection ended before the reply's end."""


class Malformed(UpstreamMalformed):
    """The reply is not written as HTTP/1.1, or says two things about its own end."""


class ReadTooLate(UpstreamDisconnected):
    """The next bytes of the reply did not come in time."""


class WrittenTooLate(UpstreamDisconnected):
    """The other side did not take the request in time."""

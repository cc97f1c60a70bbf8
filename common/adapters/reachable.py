"""Which addresses a call may go to, judged where a name has been resolved.

Judged at each connection and not when an upstream is saved: a public name may lead inside tomorrow.
"""

import ipaddress

from common.gateway.upstream_records import is_link_local, is_public


class PrivateAddress(OSError):
    """A name leads to an address that calls must not reach."""


def may_be_called(host: str, *, allow_private: bool) -> bool:
    """Whether calls may go to an address, given as text.

    With `allow_private` only link-local ones are left out, where a machine's credentials are.

    Raises:
        ValueError: the text is no address.
    """
    address = ipaddress.ip_address(host)
    return not is_link_local(address) if allow_private else is_public(address)

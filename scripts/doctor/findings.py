"""What the doctor finds, and where it looks."""

from dataclasses import dataclass

import httpx

from scripts.pubsub_http import PubsubHttp


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and what puts it right, one line each."""

    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class Patient:
    """One installation, as far as its addresses are known.

    Args:
        http: asks. It sends nothing of its own that tells who asks.
        api_url: of the API, without a slash at its end.
        proxy_url: of the proxy; None where it is not known.
        token: identity token of whoever asks, None where there is none.
        gateway_key: with which the proxy tells how its upstreams stand.
        bus: where dead letters are looked for.
        is_local: whether it is a stack on this machine, which is mended in another way.
    """

    http: httpx.Client
    api_url: str
    proxy_url: str | None
    token: str | None
    gateway_key: str | None
    bus: PubsubHttp | None
    is_local: bool

    def close(self) -> None:
        self.http.close()
        if self.bus is not None:
            self.bus.close()

    def not_looked_at(self) -> list[str]:
        """What is left out for want of an option, with the option."""
        missing = {
            "the proxy (--proxy)": self.proxy_url is None,
            "keys of upstreams (--key)": self.gateway_key is None,
            "dead letters (--bus)": self.bus is None,
        }
        return [what for what, is_missing in missing.items() if is_missing]

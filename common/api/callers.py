"""Who calls the API, and whether they may.

How a caller is recognised belongs to where the API runs, never to the request. In the cloud, IAM
has checked the bearer token before our code runs, so its email claim is believed without a
signature; only the emails given as administrators may do anything. On a laptop everybody who
reaches the loopback address is the operator, and nobody else is anybody.
"""

import binascii
import ipaddress
import json
from base64 import urlsafe_b64decode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.requests import Request

from common.core.errors import InvalidSettings, Unauthenticated
from common.gateway.changes import Actor

OPERATOR = "operator@localhost"
_ASK_FOR_EMAIL = (
    "Ask for a token that has one: `gcloud auth print-identity-token --include-email"
    " --impersonate-service-account=...`, or `format=full` at the metadata server."
)


@dataclass(frozen=True, slots=True)
class Caller:
    actor: Actor
    is_allowed: bool


class Authenticator(Protocol):
    """Recognises the caller of a request."""

    def __call__(self, request: Request) -> Caller:
        """Answer who calls.

        Raises:
            Unauthenticated: nobody that can be recognised.
        """


class IamAuthenticator:
    """The email claim of the token that Cloud Run has checked; allowed if it is an administrator's.

    Cloud Run checks `X-Serverless-Authorization` instead of `Authorization` where both are sent,
    and the unchecked one could then name anybody: requests that carry it are refused.
    """

    def __init__(self, admins: Collection[str]) -> None:
        self._admins = frozenset(admin.strip().lower() for admin in admins)

    def __call__(self, request: Request) -> Caller:
        if "x-serverless-authorization" in request.headers:
            raise Unauthenticated(
                "send the identity token as Authorization, without X-Serverless-Authorization"
            )
        sent = request.headers.getlist("authorization")
        if len(sent) != 1 or not sent[0].lower().startswith("bearer "):
            raise Unauthenticated("send one header `Authorization: Bearer <identity token>`")
        claims = _claims(sent[0][len("bearer ") :].strip())
        email = claims.get("email")
        if not isinstance(email, str) or not email or claims.get("email_verified") is False:
            raise Unauthenticated(f"the token names no verified email. {_ASK_FOR_EMAIL}")
        origin = request.headers.get("x-forwarded-for", _peer(request))
        return Caller(Actor(email.lower(), origin[:200]), email.lower() in self._admins)


class DevAuthenticator:
    """The operator, if the request comes from this machine and from no web page of another site.

    A page in the operator's browser reaches loopback addresses too, also under a name that it makes
    point there, so the names in `Host` and `Origin` must be loopback names.
    """

    def __init__(self, *, in_cloud: bool) -> None:
        if in_cloud:
            raise InvalidSettings("dev authentication is for laptops; use iam on Cloud Run")

    def __call__(self, request: Request) -> Caller:
        peer = _peer(request)
        hosts = [f"//{request.headers.get('host', '')}"]
        if "origin" in request.headers:
            hosts.append(request.headers["origin"])
        if not _is_loopback(peer) or not all(_is_loopback(_host_name(host)) for host in hosts):
            raise Unauthenticated(
                "dev authentication answers only this machine: call http://127.0.0.1 or localhost"
            )
        return Caller(Actor(OPERATOR, peer), is_allowed=True)


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, binascii.Error, ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise Unauthenticated(f"the bearer token is not an identity token. {_ASK_FOR_EMAIL}")
    return claims


def _peer(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _host_name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

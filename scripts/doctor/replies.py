"""What an address answers, and who refused a request: Cloud Run's IAM or the program behind it.

The programs answer JSON, always. Cloud Run refuses with a page of its own before they run: 403
where no token came or its account may not invoke, 401 for a token that it does not accept
(https://cloud.google.com/run/docs/troubleshooting#unauthorized-client). Which of these it was is
told from what was sent.
"""

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from scripts.doctor.findings import Finding

NEW_TOKEN = "export CLOUDOPS_TOKEN=$(gcloud auth print-identity-token)"  # noqa: S105 - a command
APPLY = "and run terraform apply; it is obeyed after a minute or two"

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is None where the answer is no JSON object."""

    status: int
    body: Fields | None

    @property
    def is_success(self) -> bool:
        return self.status < 400 and self.body is not None

    @property
    def is_refused_by_cloud_run(self) -> bool:
        return self.status in {401, 403} and self.body is None


def ask(
    http: httpx.Client,
    url: str,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str | int] | None = None,
) -> Reply | str:
    """What the address answers, or why it does not."""
    try:
        response = http.get(url, headers=headers, params=query)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
    try:
        body = response.json()
    except ValueError:
        body = None
    return Reply(response.status_code, body if isinstance(body, dict) else None)


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}


def refusal(what: str, variable: str, status: int, token: str | None) -> Finding:
    """Why Cloud Run let nobody in to `what`, and which variable of Terraform opens it."""
    if token is None:
        return Finding(
            f"{what}: Cloud Run asks for an identity token, and none was sent", NEW_TOKEN
        )
    claims = claims_of(token)
    if claims is None:
        return Finding("CLOUDOPS_TOKEN is no identity token", NEW_TOKEN)
    expires = claims.get("exp")
    if isinstance(expires, int) and expires < datetime.now(UTC).timestamp():
        return Finding("the identity token has run out: it lives for an hour", NEW_TOKEN)
    if status == 401:
        return Finding(
            f"{what}: Cloud Run does not accept the identity token",
            f"{NEW_TOKEN}; a service account's needs the option --audiences=URL",
        )
    return Finding(
        f"{what}: {who(token)} may not invoke it",
        f'add "{member(token)}" to {variable} {APPLY}',
    )


def who(token: str) -> str:
    """The e-mail address in a token, as far as it names one."""
    email = (claims_of(token) or {}).get("email")
    return email if isinstance(email, str) else "the account of the token"


def member(token: str) -> str:
    """The same as rights are bound to it."""
    email = who(token)
    if "@" not in email:
        return "user:YOUR_ADDRESS"
    return f"{'serviceAccount' if email.endswith('.gserviceaccount.com') else 'user'}:{email}"


def claims_of(token: str) -> Fields | None:
    """What an identity token says; nobody checks its signature here."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None

"""Writes through the API: applied once for one `Idempotency-Key`, and audited.

The record of an idempotent request is stored in the same commit as what the request changes. Of two
requests with the same key at the same time one commits; the other's commit conflicts on the record,
is planned again, finds the record and answers what the first one answered. The first may also
commit between the other's reads; what that one was refused for is then the first one's work, so the
record is looked for again. Records count for 24 hours. A secret is not in the record, so a repeated
request answers without it.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from common.api.envelopes import View
from common.api.operations import Answer, Call
from common.api.problems import IdempotencyKeyReused
from common.core.errors import CloudOpsError, InvalidInput, StoreUnavailable, VersionConflict
from common.core.ports import Document, Put, Ref, Write
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan, apply_change

T = TypeVar("T")

KEPT_FOR = timedelta(hours=24)
_FORM = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Shown:
    """The first answer to a write, and the one to its repetitions."""

    first: View
    repeated: View
    etag: str | None = None


async def change(call: Call[Any, Any], plan: Plan[T], show: Callable[[T], Shown]) -> Answer:
    """Apply `plan` for this call and answer what `show` makes of the result.

    Raises:
        InvalidInput: the Idempotency-Key has not the right form.
        IdempotencyKeyReused: it was used for another request within 24 hours.
        StoreUnavailable: others were faster again and again, and the caller named no version.
        CloudOpsError: what the plan refuses with.
    """
    answered = _always(plan, show)
    if call.idempotency_key is not None:
        answered = _once(call, call.idempotency_key, plan, show)
    services = call.services
    try:
        return await apply_change(
            answered,
            call.actor,
            documents=services.documents,
            bus=services.bus,
            clock=services.clock,
            entropy=services.entropy,
        )
    except VersionConflict as error:
        if call.if_match is not None or call.if_none_match is not None:
            raise
        raise StoreUnavailable(f"nothing is stored: {error.detail}") from None


def _always(plan: Plan[T], show: Callable[[T], Shown]) -> Plan[Answer]:
    async def planned(read: Read, moment: Moment) -> Change[Answer]:
        made = await plan(read, moment)
        return _answering(made, _first_answer(show(made.result)), made.writes)

    return planned


def _once(
    call: Call[Any, Any], key: str, plan: Plan[T], show: Callable[[T], Shown]
) -> Plan[Answer]:
    if _FORM.fullmatch(key) is None:
        raise InvalidInput(
            "an Idempotency-Key is 1 to 255 visible ASCII characters", field="Idempotency-Key"
        )
    ref = Ref("idempotency", _digest(call.actor.email, key))
    request = _request_digest(call)

    async def repeated(read: Read, moment: Moment) -> Change[Answer] | None:
        [record] = await read([ref])
        if record is None or moment.now >= record.data["delete_at"]:
            return None
        return _repeated(record, request)

    async def planned(read: Read, moment: Moment) -> Change[Answer]:
        earlier = await repeated(read, moment)
        if earlier is not None:
            return earlier
        try:
            made = await plan(read, moment)
        except CloudOpsError:
            earlier = await repeated(read, moment)
            if earlier is None:
                raise
            return earlier
        shown = show(made.result)
        if not made.writes:
            earlier = await repeated(read, moment)
            return earlier or _answering(made, _first_answer(shown), ())
        record = _recorded(ref, request, shown, moment)
        return _answering(made, _first_answer(shown), (*made.writes, record))

    return planned


def _answering(made: Change[Any], answer: Answer, writes: tuple[Write, ...]) -> Change[Answer]:
    return Change(
        result=answer,
        action=made.action,
        target=made.target,
        before=made.before,
        after=made.after,
        writes=writes,
        events=made.events,
    )


def _first_answer(shown: Shown) -> Answer:
    return Answer(shown.first, headers=_etag(shown.etag))


def _repeated(record: Document, request: str) -> Change[Answer]:
    if record.data["request"] != request:
        raise IdempotencyKeyReused(
            "this Idempotency-Key was used for another request in the last 24 hours",
            field="Idempotency-Key",
        )
    answer = Answer(record.data["answer"], headers=_etag(record.data["etag"]))
    return Change(
        result=answer, action="", target="", before=None, after=None, writes=(), events=()
    )


def _recorded(ref: Ref, request: str, shown: Shown, moment: Moment) -> Put:
    data = {
        "request": request,
        "answer": shown.repeated.model_dump_json(),
        "etag": shown.etag,
        "delete_at": moment.now + KEPT_FOR,
    }
    return Put(ref, data)


def _etag(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"etag": f'"{etag}"'}


def _request_digest(call: Call[Any, Any]) -> str:
    text = json.dumps(call.body.model_dump(mode="json"), sort_keys=True)
    return _digest(call.method, call.route, json.dumps(dict(call.path), sort_keys=True), text)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

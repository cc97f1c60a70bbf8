"""Which keys an agent has, kept so that a move takes them along, and which keys have changed.

`agent_keys/{org}:{agent}` lists the digests of the keys that belong to an agent or may act as it.
Whoever makes, replaces, withdraws or moves keys of an agent writes this document, so two such
changes at once conflict and one of them is planned again: no key is left behind in the old team.
`gateway/control` tells every busy instance of the proxy, which reads it every few seconds, which
keys to read again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from common.core.errors import InvalidInput
from common.core.ports import Document, Put, Ref, Write
from common.core.transactions import Read
from common.gateway.control import CONTROL, KEYS_CHANGED, control_with
from common.gateway.keys import Key, key_ref, refusal

MAX_KEYS_PER_AGENT = 100
"""Usable keys an agent has or that may act as it. Bounds what one move has to write."""

KEPT_FOR = timedelta(minutes=10)
_MAX_CHANGED = 300
"""300 entries are 13 kB. More than that within 10 minutes drop the oldest, which every busy
instance has read long ago; an idle one notices when its own copy of the key has aged out."""


def agent_keys_ref(org: str, agent: str) -> Ref:
    return Ref("agent_keys", f"{org}:{agent}")


async def keys_listed(read: Read, index: Document, now: datetime) -> list[Document]:
    """The documents of the keys an index lists that can still be used at `now`."""
    found = await read([key_ref(digest) for digest in index.data["digests"]])
    return [
        document
        for document in found
        if document is not None and refusal(Key.from_document(document), now) is None
    ]


def key_added(index: Document, usable: Sequence[Document], digest: str) -> Put:
    """The index with one more key, and without those that cannot be used any more.

    Raises:
        InvalidInput: the agent has as many keys as it may have.
    """
    if len(usable) >= MAX_KEYS_PER_AGENT:
        raise InvalidInput(
            f"agent {index.ref.id} has {len(usable)} usable keys, and at most {MAX_KEYS_PER_AGENT}"
            " are kept; revoke those that nobody uses",
            field="agent",
        )
    digests = [*(document.ref.id for document in usable), digest]
    return Put(index.ref, {"digests": digests}, if_version=index.version)


async def keys_following(
    read: Read,
    *,
    org: str,
    agent: str,
    team: str,
    old_tags: Mapping[str, str],
    new_tags: Mapping[str, str],
    now: datetime,
) -> tuple[Write, ...]:
    """What an agent's new team or tags mean for the keys that belong to it or may act as it.

    A key's tag that says what the agent said follows the agent; one that said otherwise stays.
    A key acts only as agents of its own team, so a move ends that in both directions.
    """
    index, control = await read([agent_keys_ref(org, agent), CONTROL])
    if index is None:
        return ()
    usable = await keys_listed(read, index, now)
    writes: list[Write] = []
    kept: list[str] = []
    changed: list[str] = []
    for document in usable:
        key = Key.from_document(document)
        followed = _followed(key, agent, team, old_tags, new_tags)
        if agent in (followed.agent, *followed.may_act_as):
            kept.append(key.digest)
        if followed != key:
            writes.append(Put(document.ref, followed.to_data(), if_version=document.version))
            changed.append(key.key_id)
    writes.append(Put(index.ref, {"digests": kept}, if_version=index.version))
    if changed:
        writes.append(keys_changed(control, changed, now))
    return tuple(writes)


def keys_changed(control: Document | None, key_ids: Iterable[str], now: datetime) -> Write:
    """The control document telling that these keys must be read again."""
    told = {} if control is None else control.data.get(KEYS_CHANGED, {})
    recent = {key_id: time for key_id, time in told.items() if now - time < KEPT_FOR}
    recent.update(dict.fromkeys(key_ids, now))
    newest = sorted(recent.items(), key=lambda entry: entry[1], reverse=True)[:_MAX_CHANGED]
    return control_with(control, {KEYS_CHANGED: dict(newest)})


def _followed(
    key: Key,
    agent: str,
    team: str,
    old_tags: Mapping[str, str],
    new_tags: Mapping[str, str],
) -> Key:
    if key.agent != agent:
        if key.team == team:
            return key
        return replace(key, may_act_as=tuple(name for name in key.may_act_as if name != agent))
    own_tags = {name: value for name, value in key.tags.items() if old_tags.get(name) != value}
    return replace(
        key,
        team=team,
        tags={**new_tags, **own_tags},
        may_act_as=key.may_act_as if key.team == team else (),
    )

"""State in Firestore: the `Documents` engine of the cloud.

Commits are optimistic: one call with the preconditions `exists` and `update_time`, never a locking
transaction, which collapses when many write one document. The generated client is used, without
its retries: it would repeat a commit whose answer was lost, meet what it had stored itself and call
that a conflict. A commit is repeated here only when Firestore says that it did nothing (ABORTED),
or when it was refused and all its preconditions hold by now. Everything else is Unknown, and
`transact` finds out.

Firestore says that a commit was refused, and not for which documents: these are read again.

Several documents are read in a read-only transaction, which begins with the one call that reads
them, locks nothing and needs no end: without it their times of reading may differ.

Each write also puts random bytes into a field of its own, `$v`. Firestore leaves the update time as
it is when nothing changes, and the port promises another version after every write.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import google.auth
from google.api_core import exceptions
from google.api_core.retry import exponential_sleep_generator
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from google.cloud.firestore_v1.types import common, document, firestore, query, write
from grpc import aio  # type: ignore[import-untyped]  # grpcio ships no types

from common.adapters.document_ids import escape_id, unescape_id
from common.adapters.document_rules import check_query, check_refs, check_writes
from common.adapters.firestore_values import (
    decode_fields,
    encode,
    encode_fields,
    field_name,
    field_path,
)
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Delete,
    Document,
    Increment,
    Outcome,
    Put,
    Query,
    Ref,
    Unknown,
    Write,
)

T = TypeVar("T")

SCOPES = ("https://www.googleapis.com/auth/datastore",)
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # No retries by a configuration from outside; what was never sent is still sent anew.
    ("grpc.service_config_disable_resolution", 1),
)
_REFUSED = (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound)
_PASSING = (exceptions.Aborted, exceptions.InternalServerError, exceptions.ServiceUnavailable)
_STAMP = "$v"
_KEY = "__name__"
_VERSION = re.compile(r"(0|[1-9]\d{0,11})\.(\d{9})")

_Document = document.Document.pb()
_Filter = query.StructuredQuery.Filter.pb()
_Mask = common.DocumentMask.pb()
_Precondition = common.Precondition.pb()
_StructuredQuery = query.StructuredQuery.pb()
_Transform = write.DocumentTransform.FieldTransform.pb()
_Value = document.Value.pb()
_Write = write.Write.pb()


class FirestoreDocuments:
    """Documents in one database. Nothing is opened before the first use: a fork may come first."""

    def __init__(
        self, project: str, database: str, *, emulator: str | None = None, deadline_s: float = 5.0
    ) -> None:
        """Note the address.

        Args:
            project: of Google Cloud.
            database: its id, `(default)` for the unnamed one.
            emulator: HOST:PORT of an emulator, which is asked without encryption or credentials.
            deadline_s: seconds that any answer may take, attempts to repeat it included.
        """
        self._database = f"projects/{project}/databases/{database}"
        self._emulator = emulator
        self._deadline_s = deadline_s
        self._opening = asyncio.Lock()
        self._client: FirestoreAsyncClient | None = None
        self._closed = False

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        check_refs(refs)
        names = {self._name(ref): ref for ref in refs}
        if not names:
            return []
        snapshot: dict[str, Any] | None = {"read_only": {}} if len(names) > 1 else None
        request = firestore.BatchGetDocumentsRequest(
            database=self._database, documents=list(names), new_transaction=snapshot
        )

        async def ask(client: FirestoreAsyncClient) -> dict[Ref, Document]:
            found = {}
            answers = await client.batch_get_documents(
                request, retry=None, timeout=self._deadline_s
            )
            async for answer in answers:
                raw = type(answer).pb(answer)
                if raw.HasField("found"):
                    ref = names[raw.found.name]
                    found[ref] = _document(ref, raw.found)
            return found

        found = await self._read(ask)
        return [found.get(ref) for ref in refs]

    async def query(self, query: Query) -> list[Document]:
        check_query(query)
        request = firestore.RunQueryRequest(
            parent=f"{self._database}/documents", structured_query=self._structured(query)
        )

        async def ask(client: FirestoreAsyncClient) -> list[Document]:
            answers = await client.run_query(request, retry=None, timeout=self._deadline_s)
            raws = [type(answer).pb(answer) async for answer in answers]
            return [
                _document(Ref(query.collection, _last_id(raw.document.name)), raw.document)
                for raw in raws
                if raw.HasField("document")
            ]

        return await self._read(ask)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        check_writes(writes)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._commit(writes)
        except TimeoutError:
            return Unknown(self._unavailable(f"no answer within {self._deadline_s:g} s").detail)
        except exceptions.InvalidArgument as error:
            raise InvalidInput(error.message) from None
        except exceptions.GoogleAPICallError as error:
            return Unknown(self._unavailable(str(error)).detail)
        except StoreUnavailable as error:
            return Unknown(error.detail)

    async def aclose(self) -> None:
        """Close the connection; every later call is unavailable."""
        self._closed = True
        if self._client is not None:
            await self._client.transport.close()  # type: ignore[no-untyped-call]  # it has no types

    async def _commit(self, writes: Sequence[Write]) -> Outcome:
        client = await self._open()
        if not all(_is_readable(each) for each in writes):
            return Conflict(await self._broken(writes))
        request = firestore.CommitRequest(
            database=self._database, writes=[self._write(each) for each in writes]
        )
        for pause_s in exponential_sleep_generator(FIRST_PAUSE_S, LONGEST_PAUSE_S):
            try:
                await client.commit(request, retry=None, timeout=self._deadline_s)
            except _REFUSED:
                broken = await self._broken(writes)
                if broken:
                    return Conflict(broken)
            except exceptions.Aborted:
                pass  # too many at once: nothing is stored
            else:
                return Committed()
            await asyncio.sleep(pause_s)
        raise AssertionError("pauses do not end")

    async def _broken(self, writes: Sequence[Write]) -> tuple[Ref, ...]:
        """Whose preconditions do not hold."""
        bound = [each for each in writes if _is_bound(each)]
        found = await self.get_many([each.ref for each in bound])
        return tuple(
            each.ref for each, stored in zip(bound, found, strict=True) if not _holds(each, stored)
        )

    async def _read(self, ask: Callable[[FirestoreAsyncClient], Awaitable[T]]) -> T:
        """The answer; asked again while the store is away, until the deadline."""
        try:
            async with asyncio.timeout(self._deadline_s):
                client = await self._open()
                for pause_s in exponential_sleep_generator(FIRST_PAUSE_S, LONGEST_PAUSE_S):
                    try:
                        return await ask(client)
                    except _PASSING:
                        await asyncio.sleep(pause_s)
                raise AssertionError("pauses do not end")
        except TimeoutError:
            raise self._unavailable(f"no answer within {self._deadline_s:g} s") from None
        except exceptions.GoogleAPICallError as error:
            raise self._unavailable(str(error)) from error

    async def _open(self) -> FirestoreAsyncClient:
        if self._closed:
            raise self._unavailable("is closed")
        async with self._opening:
            if self._client is None:
                transport = FirestoreGrpcAsyncIOTransport(channel=await self._channel())
                self._client = FirestoreAsyncClient(transport=transport)
            return self._client

    async def _channel(self) -> aio.Channel:
        if self._emulator is not None:
            return aio.insecure_channel(self._emulator, options=_CHANNEL_OPTIONS)
        try:  # it asks the metadata server, and waits
            credentials, _ = await asyncio.to_thread(google.auth.default, scopes=SCOPES)
        except GoogleAuthError as error:
            raise self._unavailable(str(error)) from error
        return FirestoreGrpcAsyncIOTransport.create_channel(
            credentials=credentials, options=_CHANNEL_OPTIONS
        )

    def _write(self, each: Write) -> Any:
        name = self._name(each.ref)
        stamp = _Value(bytes_value=os.urandom(6))
        match each:
            case Create():
                fields = {**encode_fields(each.data), _STAMP: stamp}
                absent = _Precondition(exists=False)
                return _Write(update=_Document(name=name, fields=fields), current_document=absent)
            case Put():
                fields = {**encode_fields(each.data), _STAMP: stamp}
                return _Write(
                    update=_Document(name=name, fields=fields),
                    current_document=_precondition(each.if_version),
                )
            case Increment():
                return _Write(
                    update=_Document(name=name, fields={_STAMP: stamp}),
                    update_mask=_Mask(field_paths=[field_path(_STAMP)]),
                    update_transforms=[
                        _Transform(field_path=field_path(field_name(field)), increment=encode(n))
                        for field, n in each.amounts.items()
                    ],
                )
            case Delete():
                return _Write(delete=name, current_document=_precondition(each.if_version))

    def _structured(self, asked: Query) -> Any:
        filters = [_equal(name, value) for name, value in asked.where.items()]
        structured = _StructuredQuery(
            from_=[{"collection_id": escape_id(asked.collection)}],
            order_by=[{"field": {"field_path": _KEY}, "direction": "ASCENDING"}],
            limit={"value": asked.limit},
        )
        if filters:
            structured.where.composite_filter.op = "AND"
            structured.where.composite_filter.filters.extend(filters)
        if asked.after is not None:
            name = self._name(Ref(asked.collection, asked.after))
            structured.start_at.values.add(reference_value=name)
        return structured

    def _name(self, ref: Ref) -> str:
        return f"{self._database}/documents/{escape_id(ref.collection)}/{escape_id(ref.id)}"

    def _unavailable(self, cause: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self._database}: {cause}")


def _document(ref: Ref, raw: Any) -> Document:
    fields = {name: value for name, value in raw.fields.items() if name != _STAMP}
    return Document(ref, decode_fields(fields), _version(raw.update_time))


def _last_id(name: str) -> str:
    return unescape_id(name.rpartition("/")[2])


def _equal(name: str, value: str | int | bool | None) -> Any:
    field = {"field_path": field_path(field_name(name))}
    if value is None:
        return _Filter(unary_filter={"field": field, "op": "IS_NULL"})
    return _Filter(field_filter={"field": field, "op": "EQUAL", "value": encode(value)})


def _is_bound(each: Write) -> bool:
    """Whether the write has a precondition."""
    match each:
        case Put() | Delete():
            return each.if_version is not None
        case _:
            return isinstance(each, Create)


def _holds(each: Write, stored: Document | None) -> bool:
    """Whether the precondition of a bound write holds for what is stored."""
    if isinstance(each, Put | Delete):
        return stored is not None and stored.version == each.if_version
    return stored is None


def _is_readable(each: Write) -> bool:
    """Whether its version, if it has one, is one of this engine's."""
    if isinstance(each, Put | Delete) and each.if_version is not None:
        return _VERSION.fullmatch(each.if_version) is not None
    return True


def _precondition(version: str | None) -> Any:
    if version is None:
        return None
    seconds, _, nanos = version.partition(".")
    return _Precondition(update_time={"seconds": int(seconds), "nanos": int(nanos)})


def _version(time: Any) -> str:
    return f"{time.seconds}.{time.nanos:09}"

"""A server that answers commits with given codes, one after another, and keeps what it was asked.

For answers that the emulator does not give on demand. It holds no documents.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
from google.cloud.firestore_v1.types import firestore
from grpc import aio

_BatchGet = firestore.BatchGetDocumentsRequest.pb()
_Commit = firestore.CommitRequest.pb()


class ScriptedFirestore:
    """Listens at `address` while `running`; after the given codes, commits succeed."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self._codes = list(codes)
        self.address = ""
        self.commits: list[Any] = []
        self.reads: list[Any] = []
        self.reads_fail = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedFirestore"]:
        server = aio.server()
        methods = {
            "Commit": grpc.unary_unary_rpc_method_handler(
                self._commit, _Commit.FromString, firestore.CommitResponse.serialize
            ),
            "BatchGetDocuments": grpc.unary_stream_rpc_method_handler(
                self._read, _BatchGet.FromString, firestore.BatchGetDocumentsResponse.serialize
            ),
        }
        handler = grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", methods)
        server.add_generic_rpc_handlers([handler])
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        yield self
        await server.stop(None)

    async def _commit(self, request: Any, context: Any) -> Any:
        self.commits.append(request)
        if self._codes:
            await context.abort(self._codes.pop(0), "scripted")
        return firestore.CommitResponse()

    async def _read(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.reads.append(request)
        if self.reads_fail:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "scripted")
        for name in request.documents:
            yield firestore.BatchGetDocumentsResponse(missing=name)

"""Every error this project raises on purpose.

- CloudOpsError
    - InvalidInput (422 invalid_input): a value is wrong; says which, and what is right
    - NotFound (404 not_found)
    - AlreadyExists (409 name_taken)
    - VersionConflict (412 version_conflict): somebody else was faster
    - Unauthenticated (401 unauthenticated)
    - Forbidden (403 forbidden)
    - StoreUnavailable (503 store_unavailable): state, bus or warehouse did not answer in time
    - PublishFailed (503 publish_failed): an event was not accepted
    - InvalidSettings: the process must not start

Domains raise them; only `runtime` and `api` turn them into answers.
"""

from typing import ClassVar


class CloudOpsError(Exception):
    """An error with a stable snake_case `code`, an HTTP `status` and a text: what to do."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class InvalidInput(CloudOpsError):
    code = "invalid_input"
    status = 422


class NotFound(CloudOpsError):
    code = "not_found"
    status = 404


class AlreadyExists(CloudOpsError):
    code = "name_taken"
    status = 409


class VersionConflict(CloudOpsError):
    code = "version_conflict"
    status = 412


class Unauthenticated(CloudOpsError):
    code = "unauthenticated"
    status = 401


class Forbidden(CloudOpsError):
    code = "forbidden"
    status = 403


class StoreUnavailable(CloudOpsError):
    code = "store_unavailable"
    status = 503


class PublishFailed(CloudOpsError):
    code = "publish_failed"
    status = 503


class InvalidSettings(CloudOpsError):
    code = "invalid_settings"

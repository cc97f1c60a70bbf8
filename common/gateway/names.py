"""The forms of what people state: ids, names, tags, globs and limits.

Every check raises InvalidInput with the field and the right form. The limits keep a key's document
and an event small.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from common.budgets.rate_limits import CallLimits
from common.core.errors import InvalidInput
from common.core.ids import is_slug

MAX_TAGS = 20
MAX_TAG_VALUE_CHARS = 256
MAX_NAME_CHARS = 200
MAX_GLOBS = 100
MAX_GLOB_CHARS = 256
MAX_LIMIT = 1_000_000_000_000
_TAG_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


def check_slug(text: str, field_name: str) -> None:
    if not is_slug(text):
        raise InvalidInput(
            f"{text!r} is not an id: 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit",
            field=field_name,
        )


def check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"a name is 1 to {MAX_NAME_CHARS} printable characters without spaces around them",
            field="name",
        )


def check_tag_name(name: str, field_name: str) -> None:
    if _TAG_NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"{name[:80]!r} is not a tag name: 1 to 63 of a-z, 0-9, _, . and -,"
            " beginning with a letter or digit",
            field=field_name,
        )


def check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"{len(tags)} tags, and at most {MAX_TAGS} are kept", field="tags")
    for name, value in tags.items():
        check_tag_name(name, "tags")
        if not 1 <= len(value) <= MAX_TAG_VALUE_CHARS or not value.isprintable():
            raise InvalidInput(
                f"a tag's value is 1 to {MAX_TAG_VALUE_CHARS} printable characters",
                field=f"tags.{name}",
            )


def check_tag_names(names: Sequence[str], field_name: str) -> None:
    if len(names) > MAX_TAGS:
        raise InvalidInput(f"{len(names)} tags, and at most {MAX_TAGS} are kept", field=field_name)
    for name in names:
        check_tag_name(name, field_name)


def check_globs(globs: Sequence[str], field_name: str) -> None:
    if len(globs) > MAX_GLOBS:
        raise InvalidInput(f"{len(globs)} patterns, and at most {MAX_GLOBS}", field=field_name)
    for glob in globs:
        if not 1 <= len(glob) <= MAX_GLOB_CHARS or not glob.isprintable():
            raise InvalidInput(
                f"a pattern is 1 to {MAX_GLOB_CHARS} printable characters", field=field_name
            )


def check_limits(limits: CallLimits, field_name: str) -> None:
    for name, limit in asdict(limits).items():
        if limit is not None and not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput(
                f"a limit is 1 to {MAX_LIMIT}, or absent; to stop a key, revoke it",
                field=f"{field_name}.{name}",
            )

"""How Datadog's monitors stand now, by its API: those whose tags ask for a mode.

Asked is ``GET /api/v1/monitor`` (https://docs.datadoghq.com/api/latest/monitors/#get-all-monitors),
page by page, once for each level. Groups that are calm are not in the answer. What of an answer
cannot be read is left out, and its monitor is then one that nobody has asked about. The keys travel
in headers, go to the one host, and stand in no text that is made here.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, ValidationError

from common.adapters.datadog_tags import (
    LEVEL_TAG,
    group_of,
    tagged_level,
    tagged_scopes,
    warning,
)
from common.brownout.drift import Measure, Watched
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.reconciling import Group, Monitor, Mute, SourceUnavailable
from common.core.secrets import Secret
from common.gateway.upstream import Upstream, UpstreamError, UpstreamRequest

logger = logging.getLogger(__name__)

DEADLINE_S = 10.0
"""For everything that is asked at one time."""
PAGE_SIZE = 100
MOST_PAGES = 20
"""Of one level."""
MOST_BYTES = 8 * 1024 * 1024
"""Of one page."""

_LEVELS = tuple(mode.word for mode in Mode if mode > Mode.NORMAL)
_OK_STATUS = 200
_CALM = "OK"
_ALERT = "Alert"
_WARN = "Warn"
_EVERYTHING = "*"
_SERVICE_TAG = "service:"
MEASURES: Mapping[str, Measure] = {
    "custom.llm.ttft.p95{%s,provider:": "latency_p95",
    "custom.service.requests{%s,outcome:upstream_error}": "error_rate",
    "custom.token_cost_per_hour{%s}": "token_cost_per_hour",
}
"""What `terraform/modules/datadog` watches, by a part of its queries with the service's tag."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Downtime(_Part):
    scope: tuple[str, ...] | str | None = None
    start: float | None = None
    end: float | None = None


class _Options(_Part):
    silenced: dict[str, float | None] | None = None
    thresholds: Any = None


class _State(_Part):
    status: str = ""


class _States(_Part):
    groups: dict[str, _State] | None = None


class _Monitor(_Part):
    id: int
    query: Any = None
    tags: tuple[str, ...] | None = None
    overall_state: str | None = None
    state: _States | None = None
    options: _Options | None = None
    matching_downtimes: tuple[_Downtime, ...] | None = None

    @property
    def statuses(self) -> Mapping[str, str]:
        """Of each group; where none is told, of the monitor as a whole."""
        groups = self.state.groups if self.state is not None else None
        if groups:
            return {name: each.status for name, each in groups.items()}
        return {_EVERYTHING: self.overall_state or ""}

    @property
    def mutes(self) -> tuple[Mute, ...]:
        silenced = (self.options.silenced if self.options is not None else None) or {}
        return (
            *(Mute(_tags(scope), until=_moment(end)) for scope, end in silenced.items()),
            *(
                Mute(_scope(each.scope), _moment(each.start), _moment(each.end))
                for each in self.matching_downtimes or ()
            ),
        )


class DatadogMonitors:
    """`Monitors` over Datadog's API. One per process."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        site: str,
        api_key: Secret,
        app_key: Secret,
        default_org: str | None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Take what is needed to ask.

        Args:
            upstream: the connection.
            site: where the account is, as ``datadoghq.eu``.
            api_key: says whose account.
            app_key: says who asks; it needs the right `monitors_read`.
            default_org: completes scopes of teams and agents that name no organisation.
            deadline_s: seconds for all that is asked at one time.
        """
        self._upstream = upstream
        self._url = f"https://api.{site}/api/v1/monitor"
        # Sites of their own region have no name for the application apart.
        self._app = f"https://{'app.' if site.count('.') == 1 else ''}{site}"
        self._keys = [
            (b"dd-api-key", api_key.reveal().encode("ascii")),
            (b"dd-application-key", app_key.reveal().encode("ascii")),
        ]
        self._default_org = default_org
        self._deadline_s = deadline_s

    async def read(self, meanings: Mapping[str, Meaning]) -> Sequence[Monitor]:
        found: dict[int, _Monitor] = {}
        try:
            async with asyncio.timeout(self._deadline_s):
                for level in _LEVELS:
                    for part in await self._tagged(level):
                        found[part.id] = part
        except TimeoutError:
            raise SourceUnavailable(f"no whole answer within {self._deadline_s:g} s") from None
        except UpstreamError as error:
            raise SourceUnavailable(f"no answer ({error})") from None
        return [self._monitor(part, meanings) for part in found.values()]

    async def _tagged(self, level: str) -> list[_Monitor]:
        found: list[_Monitor] = []
        for page in range(MOST_PAGES):
            items = await self._page(level, page)
            read = [part for item in items if (part := _monitor_of(item)) is not None]
            if len(read) < len(items):
                unread = len(items) - len(read)
                logger.warning("datadog.monitors_unread", extra={"level": level, "number": unread})
            found += read
            if len(items) < PAGE_SIZE:
                return found
        raise SourceUnavailable(f"more than {MOST_PAGES * PAGE_SIZE} monitors ask for {level}")

    async def _page(self, level: str, page: int) -> list[Any]:
        asked = {
            "group_states": "alert,warn,no data",
            "monitor_tags": f"{LEVEL_TAG}{level}",
            "with_downtimes": "true",
            "page": str(page),
            "page_size": str(PAGE_SIZE),
        }
        url = f"{self._url}?{urlencode(asked, quote_via=quote)}"
        headers = [*self._keys, (b"accept", b"application/json")]
        reply = await self._upstream.send(UpstreamRequest("GET", url, headers, b""))
        try:
            if reply.status != _OK_STATUS:
                raise SourceUnavailable(f"it answers {reply.status}")
            body = bytearray()
            async for chunk in reply.chunks():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise SourceUnavailable(f"an answer of more than {MOST_BYTES} bytes")
        finally:
            await reply.aclose()
        try:
            items = json.loads(body)
        except (ValueError, RecursionError):
            raise SourceUnavailable("an answer that is no JSON") from None
        if not isinstance(items, list):
            raise SourceUnavailable("an answer that is no list of monitors")
        return items

    def _monitor(self, part: _Monitor, meanings: Mapping[str, Meaning]) -> Monitor:
        meaning = meanings.get(f"monitor:{part.id}", Meaning())
        link = f"{self._app}/monitors/{part.id}"
        tags = [tag.strip().lower() for tag in part.tags or ()]
        groups = [
            self._group(name, status, tags, meaning)
            for name, status in part.statuses.items()
            if status != _CALM
        ]
        return Monitor(
            id=str(part.id),
            groups=tuple(group for group in groups if group is not None),
            mutes=part.mutes,
            link=link,
            watched=self._watched(part, tags, link),
        )

    def _watched(self, part: _Monitor, tags: Sequence[str], link: str) -> Watched | None:
        """What a monitor fires at that is made of the policy's thresholds, by its tags and query.

        Its tags name one mode, one scope and the service whose metrics it watches.
        """
        services = [tag for tag in tags if tag.startswith(_SERVICE_TAG)]
        level = tagged_level(tags)
        scopes, wrong = tagged_scopes(tags, self._default_org)
        fires_at = _critical(part.options)
        if isinstance(level, str) or fires_at is None or len(scopes) != 1 or wrong:
            return None
        for service in services:
            for queried, measure in MEASURES.items():
                if isinstance(part.query, str) and queried % service in part.query:
                    return Watched(str(part.id), scopes[0], level, measure, fires_at, link)
        return None

    def _group(self, name: str, status: str, tags: Sequence[str], meaning: Meaning) -> Group | None:
        """A group; None for one that asks for nothing: its tags name no level, or no scope."""
        own = _tags(group_of(name))
        all_tags = [*tags, *sorted(tag.lower() for tag in own)]
        level = meaning.level or tagged_level(all_tags)
        scopes, _ = tagged_scopes(all_tags, self._default_org)
        if meaning.scope is not None:
            scopes = (meaning.scope,)
        if isinstance(level, str) or not scopes:
            return None
        asked_for = {_ALERT: level, _WARN: warning(level)}
        return Group(own, asked_for.get(status), scopes)


def _monitor_of(item: Any) -> _Monitor | None:
    try:
        return _Monitor.model_validate(item)
    except ValidationError:
        return None


def _critical(options: _Options | None) -> Decimal | None:
    """The threshold of an alert, None where there is none that can be read."""
    thresholds = options.thresholds if options is not None else None
    critical = thresholds.get("critical") if isinstance(thresholds, dict) else None
    if not isinstance(critical, int | float) or isinstance(critical, bool):
        return None
    found = Decimal(str(critical))
    return found if found.is_finite() else None


def _scope(scope: Sequence[str] | str | None) -> frozenset[str]:
    parts = [scope] if isinstance(scope, str) else scope or ()
    return _tags(",".join(parts))


def _tags(text: str) -> frozenset[str]:
    return frozenset(tag.strip() for tag in text.split(",")) - {"", _EVERYTHING}


def _moment(seconds: float | None) -> datetime | None:
    """A moment in seconds since 1970; None for one that never comes or cannot be."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None

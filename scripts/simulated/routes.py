"""What is served where: one table of addresses, and of the paths behind each.

To serve another path, add a row. What answers it is either free or billed.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from scripts.simulated import (
    anthropic_free,
    anthropic_messages,
    anthropic_reports,
    compatible,
    gemini_border,
    gemini_caches,
    gemini_content,
    gemini_interactions,
    model_lists,
    openai_chat,
    openai_compaction,
    openai_completions,
    openai_embeddings,
    openai_free,
    openai_images,
    openai_reports,
    openai_responses,
    openai_speech,
    openai_transcripts,
)
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.dialects import spoken_at
from scripts.simulated.models import Vendor
from scripts.simulated.prompt_cache import PrefixCache
from scripts.simulated.replies import Reply
from scripts.simulated.reports import Rows
from scripts.simulated.vendors import Call, decoded


class Account:
    """What the simulated vendors keep of earlier calls."""

    def __init__(self) -> None:
        self.openai = openai_free.FreeEndpoints()
        self.gemini_caches = gemini_caches.Caches()
        self.anthropic = anthropic_free.FreeEndpoints()
        self.responses = openai_responses.Responses()
        self.interactions = gemini_interactions.Interactions()
        self.caches: defaultdict[Vendor, PrefixCache] = defaultdict(PrefixCache)


FreeAnswer = tuple[bytes, bytes]
"""A content type, and a body of it."""
Free = Callable[[Account, Call, bytes], FreeAnswer]
Billed = Callable[[Account, Call, bytes, Behaviour], Reply]
Report = Callable[[Call, Rows, Behaviour], bytes]
"""Answers from the rows of the ledger, to the admin key."""
_JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """Paths of one kind. One of `free`, `billed`, `report` is set; no fault strikes a `list`."""

    path: re.Pattern[str]
    methods: tuple[str, ...]
    free: Free | None = None
    billed: Billed | None = None
    report: Report | None = None
    listing: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """An address under which a vendor's paths begin. None: the address's last part tells whose."""

    address: re.Pattern[str]
    vendor: Vendor | None
    routes: tuple[Route, ...]


def _free(path: str, methods: tuple[str, ...], answer: Free) -> Route:
    return Route(re.compile(path), methods, free=answer)


def _billed(path: str, answer: Billed) -> Route:
    return Route(re.compile(path), ("POST",), billed=answer)


def _report(path: str, answer: Report) -> Route:
    return Route(re.compile(path), ("GET",), report=answer)


def _listing(path: str, answer: Free) -> Route:
    return Route(re.compile(path), ("GET",), free=answer, listing=True)


def _models(_account: Account, call: Call, _body: bytes) -> FreeAnswer:
    return _JSON, model_lists.answer(call.vendor, call.path.partition("/models")[2].strip("/"))


def _gemini_models(_account: Account, call: Call, _body: bytes) -> FreeAnswer:
    return _JSON, gemini_content.free_answer(call.path, None)


def _gemini_count(_account: Account, call: Call, body: bytes) -> FreeAnswer:
    return _JSON, gemini_content.free_answer(call.path, decoded(call, body))


def _of_openai(account: Account, call: Call, body: bytes) -> FreeAnswer:
    return account.openai.answer(call, body)


def _of_anthropic(account: Account, call: Call, body: bytes) -> FreeAnswer:
    return account.anthropic.answer(call, body)


def _stored(account: Account, call: Call, body: bytes) -> FreeAnswer:
    return _JSON, account.responses.free(call, body)


def _chat(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    cache = account.caches[call.vendor]
    return openai_chat.answer(decoded(call, body), call.exchange, knobs, cache)


def _responses(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    cache = account.caches[call.vendor]
    return account.responses.answer(decoded(call, body), call.exchange, knobs, cache)


def _compaction(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    parsed = decoded(call, body)
    earlier = account.responses.earlier(parsed)
    cache = account.caches[call.vendor]
    return openai_compaction.answer(parsed, earlier, call.exchange, knobs, cache)


def _messages(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    cache = account.caches[call.vendor]
    return anthropic_messages.answer(decoded(call, body), call.exchange, knobs, cache)


def _gemini_caches(account: Account, call: Call, body: bytes) -> FreeAnswer:
    return _JSON, account.gemini_caches.answer(call, body)


def _content(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    array, parsed = gemini_content.is_array(call.query), decoded(call, body)
    traffic = gemini_border.traffic(call.path, call.headers)
    cached = account.gemini_caches.named_in(parsed, call.exchange.received_at)
    return gemini_content.answer(
        call.path, parsed, call.exchange, knobs, array=array, traffic=traffic, cached=cached
    )


def _interactions(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    return account.interactions.answer(decoded(call, body), call.exchange, knobs)


def _kept_interactions(account: Account, call: Call, _body: bytes) -> FreeAnswer:
    return account.interactions.free(call)


def _compatible_chat(account: Account, call: Call, body: bytes, knobs: Behaviour) -> Reply:
    return compatible.chat(call, body, knobs, account.caches[call.vendor])


def _stateless(answer: Callable[[Call, bytes, Behaviour], Reply]) -> Billed:
    return lambda _account, call, body, knobs: answer(call, body, knobs)


_BOTH = ("GET", "POST")
_READ = ("GET", "DELETE")
_MODELS = r"/v1/models(/.*)?"
_OPENAI = (
    _billed("/v1/chat/completions", _chat),
    _billed(openai_completions.PATH, _stateless(openai_completions.answer)),
    _billed(
        openai_embeddings.PATH,
        _stateless(lambda call, body, k: openai_embeddings.answer(decoded(call, body), k)),
    ),
    _billed("|".join(openai_images.PATHS), _stateless(openai_images.answer)),
    _billed("|".join(openai_transcripts.PATHS), _stateless(openai_transcripts.answer)),
    _billed(
        openai_speech.PATH,
        _stateless(lambda call, body, k: openai_speech.answer(decoded(call, body), k)),
    ),
    _free("/v1/moderations", ("POST",), _of_openai),
    _free("/v1/(files|batches)", _BOTH, _of_openai),
    _free("/v1/files/[^/]+", _READ, _of_openai),
    _free("/v1/files/[^/]+/content", ("GET",), _of_openai),
    _free("/v1/batches/[^/]+", ("GET",), _of_openai),
    _free("/v1/batches/[^/]+/cancel", ("POST",), _of_openai),
    _billed("/v1/responses", _responses),
    _billed(openai_compaction.PATH, _compaction),
    _free("/v1/responses/input_tokens", ("POST",), _stored),
    _free("/v1/responses/[^/]+", _READ, _stored),
    _free("/v1/responses/[^/]+/cancel", ("POST",), _stored),
    _free("/v1/responses/[^/]+/input_items", ("GET",), _stored),
    _report("/v1/organization/(usage/[a-z_]+|costs)", openai_reports.answer),
    _listing(_MODELS, _models),
)
_ANTHROPIC = (
    _billed("/v1/messages", _messages),
    _free("/v1/messages/count_tokens", ("POST",), _of_anthropic),
    _free("/v1/(messages/batches|files)", _BOTH, _of_anthropic),
    _free("/v1/(messages/batches|files)/[^/]+", _READ, _of_anthropic),
    _free("/v1/messages/batches/[^/]+/cancel", ("POST",), _of_anthropic),
    _free("/v1/messages/batches/[^/]+/results", ("GET",), _of_anthropic),
    _free("/v1/files/[^/]+/content", ("GET",), _of_anthropic),
    _report("/v1/organizations/(usage_report/messages|cost_report)", anthropic_reports.answer),
    _listing(_MODELS, _models),
)
_GEMINI_MODEL = r"/v1(beta)?/models/[^/:]+"
_INTERACTION = r"/v1(beta)?/interactions/[^/]+"
_GEMINI = (
    _billed(f"{_GEMINI_MODEL}:(g|streamG)enerateContent", _content),
    _billed(f"{_GEMINI_MODEL}:(embedContent|batchEmbedContents)", _content),
    _free(f"{_GEMINI_MODEL}:countTokens", ("POST",), _gemini_count),
    _free(gemini_caches.PATH, _BOTH, _gemini_caches),
    _free(f"{gemini_caches.PATH}/[^/]+", ("GET", "PATCH", "DELETE"), _gemini_caches),
    _billed(r"/v1(beta)?/interactions", _interactions),
    _free(_INTERACTION, _READ, _kept_interactions),
    _free(f"{_INTERACTION}/cancel", ("POST",), _kept_interactions),
    _listing(r"/v1(beta)?/models(/[^/:]+)?", _gemini_models),
)
_PUBLISHED = r"/v1(beta1)?/projects/[^/]+/locations/[^/]+/publishers/google/models/"
_VERTEX_NATIVE = (_billed(f"{_PUBLISHED}[^/:]+:(g|streamG)enerateContent", _content),)
_COMPATIBLE_CHAT = _billed("(/v1)?/chat/completions", _compatible_chat)
_COMPATIBLE = (
    _COMPATIBLE_CHAT,
    _billed("/embeddings", _stateless(compatible.embeddings)),
    _listing("/models(/.*)?", _models),
)
_VERTEX = "/vertex/v1/projects/[^/]+/locations/[^/]+/endpoints/openapi"
MOUNTS = (
    Mount(re.compile("/openai(?=/v1/)"), "openai", _OPENAI),
    Mount(re.compile("/anthropic(?=/v1/chat/completions$)"), "anthropic-chat", (_COMPATIBLE_CHAT,)),
    Mount(re.compile("/anthropic(?=/v1/)"), "anthropic", _ANTHROPIC),
    Mount(re.compile("/gemini/v1beta/openai(?=/)"), "gemini-chat", _COMPATIBLE),
    Mount(re.compile("/gemini(?=/v1)"), "gemini", _GEMINI),
    Mount(re.compile(f"{_VERTEX}(?=/)"), "vertex-chat", _COMPATIBLE),
    Mount(re.compile(f"/vertex(?={_PUBLISHED})"), "gemini", _VERTEX_NATIVE),
    Mount(re.compile("/u/([^/]+)(?=/)"), None, _COMPATIBLE),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Whose API a path belongs to, the path behind its address, and the first route of that.

    The route is that of the path, whatever the method.
    """

    vendor: Vendor
    path: str
    route: Route | None


def find(path: str) -> Found | None:
    """What is served at a path; None where no vendor's begins."""
    for mount in MOUNTS:
        found = mount.address.match(path)
        if found is not None:
            vendor = mount.vendor or spoken_at(found[1]).vendor
            rest = path[found.end() :]
            routes = (route for route in mount.routes if route.path.fullmatch(rest))
            return Found(vendor, rest, next(routes, None))
    return None

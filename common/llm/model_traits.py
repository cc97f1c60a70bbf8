"""What models take and do, by their names: the one list of it.

A name is looked up without its prefix (``openai/``), date and edition. What is not known of a model
is left out: whoever asks then changes nothing that the model might refuse.

Sources:
- OpenAI API documentation: guides "Reasoning models", "Using GPT-6" and "Deployment checklist",
  the pages of the models, and `reasoning.effort` in the API reference. Words that models took when
  they were asked: github.com/enricoros/big-AGI issues 944 and 1159 (effort) and 947 (verbosity),
  github.com/theopenco/llmgateway pull request 2989 (verbosity). Efforts beside functions:
  github.com/openai/openai-openapi issue 541, github.com/livekit/agents pull request 5088.
- gpt-oss model card: three efforts.
- Anthropic documentation, "Effort" (models, levels, defaults), "Extended thinking".
- Gemini API documentation, "Gemini thinking" (budgets by model) and "What's new" of the models;
  Google Cloud, the developer's guides to the models (levels and defaults).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from common.llm.reductions.wanted import Effort

_WITHOUT_THOUGHTS = re.compile(
    r"gpt-3\.5|gpt-4|chatgpt-4|ft:gpt-(3\.5|4)|davinci|babbage"
    r"|gpt-[5-9][0-9.]*-chat|gemini-(1|2\.0)(?!.*thinking)"
    r"|claude-(v?[1-4]\b|instant|(opus|sonnet|haiku)-4\b)"
)
_TAKES_NO_THOUGHTS = re.compile(r"gemini-[12]\b")
_MEDIA_MODEL = re.compile(r"audio|image|banana|tts|omni-|veo|imagen")

_EDITION = re.compile(
    r"([:@].*|-\d{4}-\d\d-\d\d|-\d{8}|-\d{3}|-latest|-v\d+"
    r"|(?<!\bo1)-(preview|exp)(-\d\d-(\d{4}|\d\d))?)+$"
)
"""What follows the name of a model without making it another one, as it does of o1-preview."""

_LONGEST_NAME = 120
"""No model has a longer one."""


@dataclass(frozen=True, slots=True)
class Efforts:
    """How much a model can be asked to think.

    Attributes:
        words: those it takes, the least first.
        usual: the one it has unasked; None where that is not known.
        beside_functions: OpenAI's chat completions take them together with functions. Otherwise
            only ``none`` is.
    """

    words: tuple[Effort, ...]
    usual: Effort | None
    beside_functions: bool = True


@dataclass(frozen=True, slots=True)
class Budgets:
    """How many tokens a Gemini model can be given to think, from `least` on.

    Attributes:
        stops: 0 keeps it from thinking.
        unasked: it thinks where no budget is given, as much as it finds right.
    """

    least: int
    stops: bool
    unasked: bool


_TO_HIGH: tuple[Effort, ...] = ("low", "medium", "high")
_TO_XHIGH: tuple[Effort, ...] = (*_TO_HIGH, "xhigh")
_TO_MAX: tuple[Effort, ...] = (*_TO_XHIGH, "max")
_FROM_MEDIUM: tuple[Effort, ...] = ("medium", "high", "xhigh")

_EARLY = Efforts(_TO_HIGH, "medium")
_GPT_5 = Efforts(("minimal", *_TO_HIGH), "medium")
_GPT_5_2 = Efforts(("none", *_TO_XHIGH), "none", beside_functions=False)
_GPT_5_6 = Efforts(("none", *_TO_MAX), "medium", beside_functions=False)
_GPT_6_1 = Efforts(_TO_MAX, "medium", beside_functions=False)
_CODEX = Efforts(_TO_XHIGH, None)
_PRO = Efforts(_FROM_MEDIUM, None)

_OPENAI: Mapping[str, Efforts] = MappingProxyType(
    {
        **dict.fromkeys(("o1", "o1-pro", "o3", "o3-mini", "o3-pro", "o4-mini"), _EARLY),
        "gpt-5-codex": _EARLY,
        # Whoever serves these sets how much they think unasked, and whether they can be asked.
        **dict.fromkeys(("gpt-oss-20b", "gpt-oss-120b"), Efforts(_TO_HIGH, None)),
        **dict.fromkeys(("gpt-5", "gpt-5-mini", "gpt-5-nano"), _GPT_5),
        "gpt-5-pro": Efforts(("high",), "high"),
        "gpt-5-1": Efforts(("none", *_TO_HIGH), "none"),
        "gpt-5-1-codex": Efforts(_TO_HIGH, None),
        "gpt-5-1-codex-mini": Efforts(("medium", "high"), None),
        **dict.fromkeys(("gpt-5-1-codex-max", "gpt-5-2-codex", "gpt-5-3-codex"), _CODEX),
        **dict.fromkeys(("gpt-5-2-pro", "gpt-5-4-pro", "gpt-5-5-pro"), _PRO),
        **dict.fromkeys(("gpt-5-2", "gpt-5-4", "gpt-5-4-mini", "gpt-5-4-nano"), _GPT_5_2),
        "gpt-5-5": replace(_GPT_5_2, usual="medium"),
        **dict.fromkeys(("gpt-5-6", "gpt-5-6-sol", "gpt-5-6-terra", "gpt-5-6-luna"), _GPT_5_6),
        **dict.fromkeys(("gpt-6-sol", "gpt-6-luna"), _GPT_5_6),
        "gpt-6-1-sol": _GPT_6_1,
        "gpt-6-astra": replace(_GPT_6_1, usual=None),
    }
)
"""OpenAI's; models that are not here take no effort, or it is not known which."""

_CLAUDE_5 = Efforts(_TO_MAX, "high")
_CLAUDE_4_6 = Efforts((*_TO_HIGH, "max"), "high")
_CLAUDE: Mapping[str, Efforts] = MappingProxyType(
    {
        "claude-opus-4-5": Efforts(_TO_HIGH, "high"),
        **dict.fromkeys(("claude-opus-4-6", "claude-sonnet-4-6", "claude-mythos"), _CLAUDE_4_6),
        **dict.fromkeys(("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5"), _CLAUDE_5),
        **dict.fromkeys(("claude-sonnet-5", "claude-sonnet-5-5", "claude-mythos-5"), _CLAUDE_5),
        **dict.fromkeys(("claude-fable-5", "claude-fable-5-1", "claude-fable-5-2"), _CLAUDE_5),
        **dict.fromkeys(("claude-opus-5-5", "claude-haiku-5-5"), Efforts(_TO_MAX, "medium")),
    }
)
"""`claude-mythos` is what is left of ``claude-mythos-preview``."""

_FLASH = Efforts(_TO_HIGH, "medium")
_LITE = Efforts(("minimal", *_TO_HIGH), "minimal")
_GEMINI_LEVELS: Mapping[str, Efforts] = MappingProxyType(
    {
        "gemini-3-pro": Efforts(("low", "high"), "high"),
        "gemini-3-1-pro": Efforts(_TO_HIGH, "high"),
        "gemini-3-flash": Efforts(("minimal", *_TO_HIGH), "high"),
        **dict.fromkeys(("gemini-3-1-flash-lite", "gemini-3-5-flash-lite"), _LITE),
        **dict.fromkeys(("gemini-3-6-flash", "gemini-3-7-flash", "gemini-3-8-flash"), _FLASH),
        # Answered by 3.6 Flash, of which it is not known whether it takes `minimal`.
        "gemini-3-5-flash": _FLASH,
    }
)
_GEMINI_BUDGETS: Mapping[str, Budgets] = MappingProxyType(
    {
        "gemini-2-5-pro": Budgets(least=128, stops=False, unasked=True),
        "gemini-2-5-flash": Budgets(least=1, stops=True, unasked=True),
        "gemini-2-5-flash-lite": Budgets(least=512, stops=True, unasked=False),
    }
)

_VERBOSITY = re.compile(
    r"gpt-5(-(mini|nano|pro|[1245]|[245]-pro|4-mini|4-nano|6(-(sol|terra|luna))?))?"
    r"|gpt-6-(astra|sol|luna)|gpt-6-1-sol"
)
"""GPT-5 and later, but for models for chats and for code, most of which take only `medium`."""


def openai_efforts(model: str) -> Efforts | None:
    """Words for `reasoning_effort` of this model."""
    return _OPENAI.get(_family(model))


def claude_efforts(model: str) -> Efforts | None:
    """Words for `output_config.effort` of this model."""
    return _CLAUDE.get(_family(model))


def gemini_levels(model: str) -> Efforts | None:
    """Levels of thinking of this model."""
    return _GEMINI_LEVELS.get(_family(model))


def gemini_budgets(model: str) -> Budgets | None:
    """Budgets for thinking of this model."""
    return _GEMINI_BUDGETS.get(_family(model))


def takes_low_verbosity(model: str) -> bool:
    """Whether this model of OpenAI can be asked for short answers."""
    return _VERBOSITY.fullmatch(_family(model)) is not None


def may_think_unasked(model: str) -> bool:
    """Whether the model is not known to think only where a request asks for it."""
    return _WITHOUT_THOUGHTS.match(_bare(model)) is None


def stops_at_no_budget(model: str) -> bool:
    """Whether a budget of 0 keeps this Gemini model from thinking. Later ones think on."""
    return _TAKES_NO_THOUGHTS.match(_bare(model)) is not None


def makes_media(model: str) -> bool:
    return _MEDIA_MODEL.search(_bare(model)) is not None


def _bare(model: str) -> str:
    return model.rpartition("/")[2].lower()


def _family(model: str) -> str:
    """The name without its edition, with hyphens for dots."""
    if len(model) > _LONGEST_NAME:
        return ""
    return _EDITION.sub("", _bare(model)).replace(".", "-")

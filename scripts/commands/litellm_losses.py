"""What a gateway.yaml cannot say of a LiteLLM config, each with what to do instead.

Settings are named and never quoted: their values may be keys.
"""

from collections.abc import Collection, Iterator, Mapping

from common.core.yaml_lines import Found
from scripts.commands.litellm_credentials import Told
from scripts.commands.litellm_file import LitellmConfig
from scripts.commands.litellm_rules import FALLBACKS
from scripts.commands.litellm_upstreams import shown

_UNDERSTOOD = frozenset(
    {
        "model",
        "api_key",
        "api_base",
        "base_url",
        "api_version",  # the addresses that upstreams have of Azure take none
        "custom_llm_provider",
        "litellm_credential_name",
        "vertex_location",
        "vertex_project",
        "weight",
    }
)
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_UNKNOWN = "nothing here corresponds to it"
_INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(
        ("input_cost_per_token", "output_cost_per_token"),
        "prices cannot be overridden yet: those of the upstream's provider apply",
    ),
    **dict.fromkeys(FALLBACKS, "with --org they become fallbacks of rules"),
    **dict.fromkeys(
        _FALLBACKS[1:],
        "a rule goes on where an upstream fails, not where it refuses a request",
    ),
    **dict.fromkeys(
        ("rpm", "tpm", "max_parallel_requests", "default_max_parallel_requests"),
        "limits are a gateway key's: policy.limits with rpm, tpm and concurrency",
    ),
    **dict.fromkeys(
        ("timeout", "stream_timeout", "request_timeout"),
        "the proxy has CALL_TIMEOUT_S, FIRST_BYTE_TIMEOUT_S and IDLE_TIMEOUT_S",
    ),
    **dict.fromkeys(
        ("num_retries", "max_retries", "retry_after", "allowed_fails", "cooldown_time"),
        "a key that is rate limited or refused rests, and the next is tried: nothing to set",
    ),
    **dict.fromkeys(
        ("max_budget", "budget_duration", "provider_budget_config"),
        "make a budget: scripts/cloudops budgets create",
    ),
    "base_model": "call the deployment by its model's name, so that its price is found",
    "database_url": "state is where STATE_URL says",
    "drop_params": "a request's fields go on as they are",
    "environment_variables": "give the proxy those that it needs: .env.example has them",
    "include": "import those files too",
    "master_key": "calls take gateway keys, and CONSOLE_ADMINS may use the API",
    "model_group_alias": "write a rule for each: scripts/cloudops routes set",
    "routing_strategy": "keys of one upstream, and models of one rule, share calls by weight",
    "vertex_credentials": "the proxy's own identity pays: give it roles/aiplatform.user",
}


def losses_of(config: LitellmConfig, *, rules: bool) -> list[Told]:
    """What is not imported besides deployments that have no upstream, and names.

    With `rules` their fallbacks are imported.
    """
    return [*_of_deployments(config), *_of_sections(config, FALLBACKS if rules else frozenset())]


def _of_deployments(config: LitellmConfig) -> Iterator[Told]:
    for deployment in config.deployments:
        for name, found in deployment.params.items():
            if name not in _UNDERSTOOD:
                yield _setting("litellm_params", name, found)
        for section, found in deployment.others.items():
            if found.value and not found.members:
                yield _setting("model_list", section, found)
            for name, each in found.members.items():
                yield _setting(section, name, each)


def _of_sections(config: LitellmConfig, imported: Collection[str]) -> Iterator[Told]:
    for section, found in config.sections.items():
        if section == "credential_list":
            yield from _of_credentials(found)
        elif found.value and section not in _INSTEAD and found.members:
            for name, each in found.members.items():
                if name not in imported:
                    yield _setting(section, name, each)
        elif found.value:
            yield Told(found.line, shown(section), _INSTEAD.get(section, _UNKNOWN))


def _of_credentials(found: Found) -> Iterator[Told]:
    for credential in found.items:
        values = credential.members.get("credential_values", Found(None, credential.line))
        for name, each in values.members.items():
            if name not in _UNDERSTOOD:
                yield _setting("credential_values", name, each)


def _setting(section: str, name: str, found: Found) -> Told:
    chain = f" ({_chain(found)})" if name in _FALLBACKS and _chain(found) else ""
    what = f"{shown(section)}.{shown(name)}{chain}"
    return Told(found.line, what, _INSTEAD.get(name, _UNKNOWN))


def _chain(found: Found) -> str:
    """Fallbacks as `a to b, c; d to e`."""
    return "; ".join(
        f"{shown(name)} to {', '.join(shown(each.text or '?') for each in after.items)}"
        for item in found.items
        for name, after in item.members.items()
    )

"""The settings of each function: what it reads of its environment, and what it needs.

A function's settings are the parts that its job takes; `SETTINGS` has them by function.
"""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from common.llm.unmetered import read_unmetered
from common.runtime.settings import (
    BusSettings,
    ReachSettings,
    Settings,
    StateSettings,
    WarehouseSettings,
    of_a_header,
    required,
)
from common.runtime.telemetry_settings import OtlpSettings


class SimulatedUpstreamSettings(Settings):
    test_llm_upstream: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Upstream that POST /api/test-llm calls, none of the vendors. What it answers "
        "with the header x-simulated: true is charged to nobody. Set by scripts/dev.",
    )

    @field_validator("test_llm_upstream")
    @classmethod
    def _no_vendor(cls, value: str | None) -> str | None:
        if value in {"openai", "anthropic", "gemini"}:
            raise ValueError(f"{value} costs money: name an upstream that answers simulated text")
        return value


class LlmTestSettings(SimulatedUpstreamSettings):
    proxy_url: str | None = Field(
        default=None,
        pattern=r"^(https://[^\s?#]+|http://(127\.0\.0\.1|localhost)(:\d+)?/?)$",
        description="Address of the proxy, through which POST /api/test-llm calls. Set by "
        "scripts/dev.",
    )
    test_llm_key: SecretStr | None = Field(
        default=None,
        description="Gateway key that POST /api/test-llm calls with. Set by scripts/dev.",
    )

    @field_validator("test_llm_key")
    @classmethod
    def _fit_for_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        return of_a_header(value)


class SimulatedProviderSettings(Settings):
    simulated_provider_url: str | None = Field(
        default=None,
        pattern=r"^http://(127\.0\.0\.1|localhost)(:\d+)?(/.*)?$",
        description="Simulated provider on this machine; the provider key `sim` and the admin key "
        "`sim-admin` reach it. Set by scripts/dev; refused on Cloud Run.",
    )

    @model_validator(mode="after")
    def _no_simulated_provider_in_the_cloud(self) -> "SimulatedProviderSettings":
        if self.on_cloud_run and self.simulated_provider_url is not None:
            raise ValueError("SIMULATED_PROVIDER_URL must not be set on Cloud Run")
        return self


class ProxySettings(
    StateSettings,
    BusSettings,
    ReachSettings,
    SimulatedUpstreamSettings,
    SimulatedProviderSettings,
):
    """Settings of the function `proxy`."""

    openai_api_key: SecretStr | None = Field(
        default=None,
        description="OpenAI key for calls that bring only a gateway key (managed keys).",
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None,
        description="Anthropic key for calls that bring only a gateway key (managed keys).",
    )
    gemini_api_key: SecretStr | None = Field(
        default=None,
        description="Gemini key for calls that bring only a gateway key (managed keys).",
    )
    fingerprint_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Secret that makes fingerprints of provider keys, users and sessions. "
        "Laptop: made once, in DATA_DIR.",
    )
    key_max_stale_s: float = Field(
        default=5, ge=1, le=300, description="Seconds within which every revocation is obeyed."
    )
    first_byte_timeout_s: float = Field(
        default=300, gt=0, le=3600, description="Seconds a provider has to begin its reply."
    )
    idle_timeout_s: float = Field(
        default=120, gt=0, le=3600, description="Seconds between two chunks of a reply."
    )
    call_timeout_s: float = Field(
        default=3600, gt=0, le=3600, description="Seconds for a whole call."
    )

    unmetered_paths: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Paths to let through although what they cost is not known, separated by "
        "commas, as `POST /openai/v1/vector_stores, GET /openai/v1/vector_stores/*`: for keys "
        "without a hard budget; never account administration, keys, tokens or live sessions.",
    )

    @field_validator("unmetered_paths", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("unmetered_paths")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        read_unmetered(value)
        return value

    @model_validator(mode="after")
    def _complete_in_the_cloud(self) -> "ProxySettings":
        return required(self, "fingerprint_key")


class ScopeSettings(Settings):
    default_org: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Organisation of the teams and agents that alerts, pins and policies name "
        "without one.",
    )


class WebhookSettings(StateSettings, BusSettings, ScopeSettings):
    """Settings of the function `brownout_webhook`."""

    brownout_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        max_length=2,
        description="What senders of alerts show, as X-Brownout-Token or as password of basic "
        "authentication: 16 characters or more; two separated by a comma while one replaces the "
        "other. None: every sender is refused.",
    )

    @field_validator("brownout_tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("brownout_tokens")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        texts = [each.get_secret_value() for each in value]
        if not all(len(each) >= 16 and each.isascii() and each.isprintable() for each in texts):
            raise ValueError("each token has at least 16 printable ASCII characters")
        return value


class DatadogSettings(Settings):
    datadog_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATADOG_API_KEY", "DD_API_KEY"),
        description="API key of the Datadog account whose monitors are asked once a minute, also "
        "as DD_API_KEY. Without both keys what webhooks tell counts alone.",
    )
    datadog_app_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATADOG_APP_KEY", "DD_APP_KEY"),
        description="Application key beside DATADOG_API_KEY, also as DD_APP_KEY. It needs the "
        "right monitors_read and no other.",
    )
    datadog_site: str = Field(
        default="datadoghq.com",
        validation_alias=AliasChoices("DATADOG_SITE", "DD_SITE"),
        pattern=r"^([a-z]{2}[0-9]{1,2}\.)?(datadoghq\.(com|eu)|ddog-gov\.com)$",
        description="Where the Datadog account is, as datadoghq.eu or us5.datadoghq.com; also as "
        "DD_SITE.",
    )

    @field_validator("datadog_api_key", "datadog_app_key")
    @classmethod
    def _fit_for_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        return of_a_header(value)


class TelemetrySettings(Settings, OtlpSettings):
    """Settings of functions that send metrics."""


class BrownoutTickSettings(
    StateSettings, BusSettings, ScopeSettings, ReachSettings, DatadogSettings, TelemetrySettings
):
    """Settings of the function `brownout_tick`."""


class IncidentsSettings(StateSettings, BusSettings):
    """Settings of the function `incidents`."""


class ReceiverSettings(Settings):
    local_receivers: bool = Field(
        default=False,
        description="true: a channel's receiver may be http://127.0.0.1:PORT. Set by scripts/dev; "
        "refused on Cloud Run.",
    )

    @model_validator(mode="after")
    def _no_receivers_in_the_cloud(self) -> "ReceiverSettings":
        if self.on_cloud_run and self.local_receivers:
            raise ValueError("LOCAL_RECEIVERS must not be set on Cloud Run")
        return self


class NotifierSettings(StateSettings, BusSettings, ReceiverSettings):
    """Settings of the function `notifier`."""

    console_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="Address of the console, which links in messages lead to. None: they lead to "
        "the alert alone.",
    )


class UsageSettings(StateSettings, TelemetrySettings):
    """Settings of the function `usage`."""


class BudgetsSettings(StateSettings, BusSettings, WarehouseSettings):
    """Settings of the function `budgets`."""


class PricingSettings(StateSettings, BusSettings, WarehouseSettings, ReachSettings):
    """Settings of the function `pricing`."""

    price_source_url: str | None = Field(
        default=None,
        pattern=r"^(https://[^\s#]+|http://127\.0\.0\.1(:\d+)?/[^\s#]*)$",
        description="Where the public price list is, in the form of genai-prices' v2 data. "
        "Default: where genai-prices itself looks.",
    )


class InsightsSettings(
    StateSettings, BusSettings, WarehouseSettings, ReachSettings, SimulatedProviderSettings
):
    """Settings of the function `insights`."""

    openai_admin_key: SecretStr | None = Field(
        default=None,
        description="Admin key of the OpenAI organisation, to read what it billed. None: its bills "
        "are not held against our events.",
    )
    anthropic_admin_key: SecretStr | None = Field(
        default=None,
        description="Admin key of the Anthropic organisation, to read what it billed. None: its "
        "bills are not held against our events.",
    )

    @field_validator("openai_admin_key", "anthropic_admin_key")
    @classmethod
    def _fit_for_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        return of_a_header(value)


class ApiSettings(
    StateSettings,
    BusSettings,
    WarehouseSettings,
    ScopeSettings,
    LlmTestSettings,
    ReceiverSettings,
):
    """Settings of the function `api`."""

    api_auth: Literal["iam", "dev"] = Field(
        default="iam",
        description="How callers are recognised: iam (the token Cloud Run checked), or dev "
        "(operator@localhost, from this machine only; refused on Cloud Run).",
    )
    console_admins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="E-mail addresses that may use the API, separated by commas."
    )

    @field_validator("console_admins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _no_dev_in_the_cloud(self) -> "ApiSettings":
        if self.on_cloud_run and self.api_auth == "dev":
            raise ValueError("API_AUTH=dev is for a laptop; on Cloud Run leave it unset")
        return self


SETTINGS: dict[str, type[Settings]] = {
    "proxy": ProxySettings,
    "brownout_webhook": WebhookSettings,
    "brownout_tick": BrownoutTickSettings,
    "incidents": IncidentsSettings,
    "notifier": NotifierSettings,
    "usage": UsageSettings,
    "budgets": BudgetsSettings,
    "pricing": PricingSettings,
    "insights": InsightsSettings,
    "api": ApiSettings,
}
"""By function."""

"""Settings of telemetry. The variables are those of OpenTelemetry, whose SDK reads them itself."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class OtlpSettings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="Where metrics and traces go, by OTLP over HTTP: a collector, or that "
        "of a Datadog site, as https://otlp.datadoghq.com. None: nothing is sent.",
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        default=None,
        description="Headers of what is sent, as dd-api-key=..., separated by commas.",
    )
    otel_exporter_otlp_traces_headers: SecretStr | None = Field(
        default=None,
        description="Headers of traces in place of those, as "
        "dd-api-key=...,dd-otlp-source=llmobs for Datadog's LLM Observability.",
    )
    otel_exporter_otlp_timeout: float = Field(
        default=2, gt=0, le=10, description="Seconds that one attempt to send may take."
    )
    otel_traces_exporter: Literal["otlp", "none"] = Field(
        default="otlp", description="none: traces are not sent, only metrics."
    )
    otel_traces_sampler_arg: float = Field(
        default=1,
        ge=0,
        le=1,
        description="Share of the traces to keep, of calls that bring no traceparent. What failed "
        "and what a brownout changed is always kept.",
    )
    otel_service_name: str = Field(
        default="open-cloud-ops", description="The service that metrics and traces are of."
    )
    otel_resource_attributes: str | None = Field(
        default=None,
        description="More attributes of the service, as deployment.environment.name=production, "
        "separated by commas.",
    )

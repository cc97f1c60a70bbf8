"""Settings, read from the environment once and checked before anything starts.

Here are the parts; function_settings.py composes them. Every field says what it is, its unit and
its bounds; `.env.example` is written from here. On a laptop the engines have defaults; on Cloud Run
(where `K_SERVICE` is set) a missing engine stops the start and is named.
"""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.core.errors import InvalidSettings
from common.core.secrets import Secret

T = TypeVar("T", bound="Settings")


class Settings(BaseSettings):
    """What every function has."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    k_service: str | None = Field(
        default=None, description="Set by Cloud Run; its presence means: not a laptop."
    )
    data_dir: Path = Field(
        default=Path(".data"),
        description="Folder of the local engines' files. Laptop only.",
    )

    @property
    def on_cloud_run(self) -> bool:
        return self.k_service is not None


class StateSettings(Settings):
    state_url: str | None = Field(
        default=None,
        pattern=r"^(sqlite:///.+|firestore://[^/]+/[^/]+)$",
        description="Where documents are kept: firestore://PROJECT/DATABASE or sqlite:///FILE. "
        "Laptop: a file in DATA_DIR.",
    )
    firestore_emulator_host: str | None = Field(
        default=None,
        pattern=r"^[^/:]+:\d+$",
        description="HOST:PORT of an emulator that stands for Firestore, asked without encryption. "
        "Refused on Cloud Run.",
    )

    @model_validator(mode="after")
    def _state_named_in_the_cloud(self) -> "StateSettings":
        if self.on_cloud_run and self.firestore_emulator_host is not None:
            raise ValueError("FIRESTORE_EMULATOR_HOST must not be set on Cloud Run")
        return required(self, "state_url")


class BusSettings(Settings):
    bus_url: str | None = Field(
        default=None,
        pattern=r"^(local:///.+|pubsub://[^/]+/[a-zA-Z][^/]*)$",
        description="Where events go: pubsub://PROJECT/PREFIX, for the topics PREFIX-usage, "
        "PREFIX-events and PREFIX-commands, or local:///FILE. Laptop: a file in DATA_DIR.",
    )
    pubsub_emulator_host: str | None = Field(
        default=None,
        pattern=r"^[^/:]+:\d+$",
        description="HOST:PORT of an emulator that stands for Pub/Sub, asked without encryption. "
        "Refused on Cloud Run.",
    )

    @model_validator(mode="after")
    def _bus_named_in_the_cloud(self) -> "BusSettings":
        if self.on_cloud_run and self.pubsub_emulator_host is not None:
            raise ValueError("PUBSUB_EMULATOR_HOST must not be set on Cloud Run")
        return required(self, "bus_url")


class WarehouseSettings(Settings):
    warehouse_url: str | None = Field(
        default=None,
        pattern=r"^(duckdb:///.+|bigquery://[^/]+/\w+)$",
        description="Where facts are asked: bigquery://PROJECT/DATASET or duckdb:///FILE. "
        "Laptop: a file in DATA_DIR.",
    )
    warehouse_query_bytes: int = Field(
        default=100_000_000_000,
        ge=10_485_760,
        description="Bytes that one BigQuery query may bill; a larger one is refused.",
    )
    bigquery_emulator_host: str | None = Field(
        default=None,
        pattern=r"^[^/:]+:\d+$",
        description="HOST:PORT of an emulator that stands for BigQuery, asked without encryption. "
        "Refused on Cloud Run.",
    )

    @model_validator(mode="after")
    def _warehouse_named_in_the_cloud(self) -> "WarehouseSettings":
        if self.on_cloud_run and self.bigquery_emulator_host is not None:
            raise ValueError("BIGQUERY_EMULATOR_HOST must not be set on Cloud Run")
        return required(self, "warehouse_url")


class ReachSettings(Settings):
    https_proxy: str | None = Field(
        default=None,
        description="Proxy through which providers and Datadog are reached, as "
        "http://[USER:PASSWORD@]HOST:PORT. Upstreams that may be inside the own network "
        "(`allow_private`) are reached directly; NO_PROXY is not read.",
    )

    @field_validator("https_proxy")
    @classmethod
    def _readable_proxy(cls, value: str | None) -> str | None:
        if value is not None:
            from common.adapters.lean_urls import read_proxy  # noqa: PLC0415 - where one is set

            read_proxy(value)
        return value


def read_settings(kind: type[T]) -> T:
    """The settings of a function.

    Raises:
        InvalidSettings: names every variable that is missing or wrong.
    """
    try:
        return kind()
    except ValidationError as error:
        # Values are left out: one of them may be a secret in the wrong place.
        problems = [
            f"{'.'.join(map(str, each['loc'])).upper() or 'Settings'}: {each['msg']}"
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise InvalidSettings("; ".join(problems)) from None


def environment_secret(name: str) -> Secret | None:
    """A variable that an upstream's credential names, None where it is not set."""
    value = os.environ.get(name, "").strip()
    return Secret(value) if value else None


def of_a_header(value: SecretStr | None) -> SecretStr | None:
    text = "" if value is None else value.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("a key has printable ASCII characters without spaces")
    return value


def required(settings: T, field: str) -> T:
    if settings.on_cloud_run and getattr(settings, field) is None:
        raise ValueError(f"{field.upper()} must be set on Cloud Run")
    return settings

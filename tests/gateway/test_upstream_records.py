"""Which upstreams may be configured, and that none can take a key it must not have."""

from dataclasses import replace

import pytest

from common.core.errors import InvalidInput
from common.core.ports import Document
from common.core.secrets import Secret
from common.gateway.upstream_records import (
    CredentialRecord,
    UpstreamRecord,
    check_record,
    upstream_ref,
)

GROQ = UpstreamRecord(
    "groq",
    base_url="https://api.groq.com/openai/v1",
    provider="groq",
    credentials=(CredentialRecord("main", "GROQ_API_KEY", 3),),
)
VERTEX = UpstreamRecord("vertex", identity="google", project="acme-prod", location="europe-west4")


def _secret(name: str) -> Secret | None:
    return None if name == "UNSET_API_KEY" else Secret(f"value of {name}")


def _field(record: UpstreamRecord) -> str | None:
    with pytest.raises(InvalidInput) as raised:
        check_record(record)
    return raised.value.field


@pytest.mark.parametrize("record", [GROQ, VERTEX, UpstreamRecord("openai", models=("ft:x",))])
def test_a_stored_record_is_read_back(record: UpstreamRecord) -> None:
    document = Document(upstream_ref(record.name), record.to_data(), "1")

    assert UpstreamRecord.from_document(document) == record


def test_a_configured_upstream_is_called_at_its_address_with_its_keys() -> None:
    record = replace(
        GROQ, credentials=(*GROQ.credentials, CredentialRecord("spare", "UNSET_API_KEY"))
    )

    found = record.destination(_secret)

    assert (found.base_url, found.provider, found.openai_path) == (
        "https://api.groq.com/openai/v1",
        "groq",
        "",
    )
    [credential] = found.credentials
    assert (credential.name, credential.weight) == ("main", 3)
    assert credential.secret.reveal() == "value of GROQ_API_KEY"
    assert found.unset == ("UNSET_API_KEY",)


def test_a_vendor_without_credentials_of_its_own_has_its_one_variable() -> None:
    found = UpstreamRecord("gemini").destination(_secret)

    assert [each.secret.reveal() for each in found.credentials] == ["value of GEMINI_API_KEY"]
    assert found.base_url == "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
    ],
)
def test_vertex_is_called_at_the_address_of_its_location(location: str, url: str) -> None:
    found = replace(VERTEX, location=location).destination(_secret)

    assert (found.base_url, found.provider, found.pays) == (url, "google", True)
    assert found.openai_path == f"/v1/projects/acme-prod/locations/{location}/endpoints/openapi"


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "api.groq.com/v1",
        "http://api.groq.com/v1",
        "ftp://api.groq.com",
        "https://",
        "https://user@api.groq.com",
        "https://api.groq.com/v1?key=1",
        "https://api.groq.com/#x",
        "https://api.groq.com:0/v1",
        "https://api.groq.com:port/v1",
        "https://api.groq.com\\@10.0.0.1/",
        "https://ápi.groq.com",
        "https://127.0.0.1/v1",
        "https://127.1/v1",
        "https://2130706433/v1",
        "https://0x7f000001/",
        "https://10.1.2.3/v1",
        "https://192.168.0.1/",
        "https://169.254.169.254/computeMetadata/v1",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/v1",
        "https://[2002:7f00:1::]/v1",
        f"https://{'a' * 64}.com/v1",
        "https://localhost/",
        "https://db.internal/",
        "https://metadata.google.internal/",
        "https://printer/",
    ],
)
def test_an_address_that_keys_must_not_reach_is_refused(url: str | None) -> None:
    assert _field(replace(GROQ, base_url=url)) == "base_url"


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434/v1", "https://10.1.2.3/v1"])
def test_a_private_address_must_be_meant(url: str) -> None:
    record = replace(GROQ, base_url=url, allow_private=True)

    check_record(record)
    assert record.destination(_secret).allow_private


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "0xa9fea9fe",
        "2852039166",
        "169.254.43518",
        "0251.0376.0251.0376",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
    ],
)
def test_what_gives_a_machine_its_credentials_is_never_an_upstream(host: str) -> None:
    for scheme in ("http", "https"):
        record = replace(GROQ, base_url=f"{scheme}://{host}/v1", allow_private=True)

        with pytest.raises(InvalidInput, match="never an upstream") as raised:
            check_record(record)
        assert raised.value.field == "base_url"


@pytest.mark.parametrize(
    "env",
    [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "FINGERPRINT_KEY",
        "PATH",
        "groq_api_key",
        "gsk_0123456789abcdef",
        "_API_KEY",
        "",
    ],
)
def test_an_upstream_cannot_have_another_s_secret(env: str) -> None:
    record = replace(GROQ, credentials=(CredentialRecord("main", env),))

    assert _field(record) == "credentials.env"


def test_a_vendor_may_name_its_own_variable_beside_others() -> None:
    keys = (CredentialRecord("a", "OPENAI_API_KEY"), CredentialRecord("b", "OPENAI_2_API_KEY"))

    check_record(UpstreamRecord("openai", credentials=keys))


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (replace(GROQ, name="Groq"), "name"),
        (replace(GROQ, name=""), "name"),
        (replace(GROQ, project="p"), "project"),
        (replace(GROQ, models=("",)), "models"),
        (replace(GROQ, models=("x" * 257,)), "models"),
        (replace(GROQ, credentials=GROQ.credentials * 2), "credentials"),
        (
            replace(GROQ, credentials=(CredentialRecord("main", "GROQ_API_KEY", 0),)),
            "credentials.weight",
        ),
        (
            replace(GROQ, credentials=(CredentialRecord("a b", "GROQ_API_KEY"),)),
            "credentials.name",
        ),
        (UpstreamRecord("openai", base_url="https://evil.example.com"), "base_url"),
        (UpstreamRecord("openai", provider="groq"), "provider"),
        (UpstreamRecord("openai", allow_private=True), "allow_private"),
        (replace(VERTEX, identity="aws"), "identity"),
        (replace(VERTEX, project="p/../../x"), "project"),
        (replace(VERTEX, location="evil.example.com/"), "location"),
        (replace(VERTEX, location=None), "location"),
        (replace(VERTEX, base_url="https://evil.example.com"), "base_url"),
        (replace(VERTEX, credentials=GROQ.credentials), "credentials"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(record: UpstreamRecord, field: str) -> None:
    assert _field(record) == field


def test_a_forged_document_is_not_obeyed() -> None:
    """Whoever writes into the store itself is held to the same rules."""
    forged = replace(GROQ, base_url="http://10.0.0.1/")

    with pytest.raises(InvalidInput):
        forged.destination(_secret)

"""The doctor finds what is wrong with a deployed installation, each thing with its own fix."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common.core.events import UsageEvent
from scripts.commands.cloudops import app
from scripts.commands.cloudops_client import web_client
from tests.api.conftest import a_call
from tests.deploy.cloud import ADA, VERSION, Cloud, a_token
from tests.deploy.conftest import Pubsub

Doctor = Callable[..., Result]
HOUR = timedelta(hours=1)
NOTHING = "Nothing is wrong.\n"
SHADOW = (
    "Note: version 0 of the brownout policy is in shadow: what it would do is only recorded, and"
    " `scripts/cloudops calls` shows it.\n"
)
GROQ = {"name": "groq", "credentials": [{"variable": "GROQ_API_KEY", "state": "unset"}]}
OPENAI = {"name": "openai", "credentials": [{"variable": "OPENAI_API_KEY", "state": "unset"}]}


@pytest.fixture
def doctor(cloud: Cloud) -> Doctor:
    """Look at the installation, as ada if nobody else is named; None sends no token."""

    def doctor(*options: str, token: str | None = "", proxy: str | None = "") -> Result:
        command = ["--url", cloud.api_url, "doctor", *options]
        command += [] if token is None else ["--token", token or a_token()]
        command += [] if proxy is None else ["--proxy", proxy or cloud.proxy_url]
        return CliRunner().invoke(app, command)

    return doctor


def findings(done: Result) -> list[list[str]]:
    """What was found, each with its fix; that the exit code agrees."""
    beside = ("Not looked at", "Note: ")
    lines = [line for line in done.output.splitlines() if not line.startswith(beside)]
    found = [[what, fix.removeprefix("    fix: ")] for what, fix in zip(*[iter(lines)] * 2)]  # noqa: B905 - pairs
    assert (done.exit_code, len(lines)) == (1, 2 * len(found))
    return found


def settled(number: int, **fields: Any) -> UsageEvent:
    """A call that has been delivered by now."""
    return a_call(number, **{"event_time": datetime.now(UTC) - HOUR, **fields})


def test_finds_nothing_wrong_with_a_sound_installation(cloud: Cloud, doctor: Doctor) -> None:
    cloud.record(*(settled(number) for number in range(3)))

    done = doctor()

    left_out = "Not looked at: keys of upstreams (--key), dead letters (--bus).\n"
    assert (done.exit_code, done.output) == (0, NOTHING + SHADOW + left_out)


class TestTheDoorOfTheApi:
    def test_was_asked_without_a_token(self, doctor: Doctor) -> None:
        assert findings(doctor(token=None)) == [
            [
                "the API: Cloud Run asks for an identity token, and none was sent",
                "export CLOUDOPS_TOKEN=$(gcloud auth print-identity-token)",
            ]
        ]

    @pytest.mark.parametrize(
        ("token", "what"),
        [
            ("ya29.an-access-token", "CLOUDOPS_TOKEN is no identity token"),
            (a_token(lives_s=-5), "the identity token has run out: it lives for an hour"),
            (a_token(genuine=False), "the API: Cloud Run does not accept the identity token"),
        ],
        ids=["access", "expired", "forged"],
    )
    def test_does_not_know_the_token(self, doctor: Doctor, token: str, what: str) -> None:
        [[found, fix]] = findings(doctor(token=token))

        assert found == what
        assert fix.startswith("export CLOUDOPS_TOKEN=$(gcloud auth print-identity-token)")

    @pytest.mark.parametrize(
        ("email", "member"),
        [
            ("eve@example.com", "user:eve@example.com"),
            ("ci@p.iam.gserviceaccount.com", "serviceAccount:ci@p.iam.gserviceaccount.com"),
        ],
    )
    def test_is_not_open_to_who_may_not_invoke_it(
        self, doctor: Doctor, email: str, member: str
    ) -> None:
        [[what, fix]] = findings(doctor(token=a_token(email)))

        assert what == f"the API: {email} may not invoke it"
        assert fix.startswith(f'add "{member}" to private_callers and run terraform apply')

    def test_leads_to_the_api_which_knows_no_such_administrator(
        self, cloud: Cloud, doctor: Doctor
    ) -> None:
        cloud.administrators = {"bob@example.com"}

        [[what, fix]] = findings(doctor())

        assert what == f"{ADA} may invoke the API and is none of its administrators"
        assert fix.startswith(f'add "{ADA}" to console_admins and run terraform apply')

    def test_leads_to_the_api_which_finds_no_email_in_the_token(
        self, cloud: Cloud, doctor: Doctor
    ) -> None:
        cloud.invokers = {"nobody"}

        [[what, fix]] = findings(doctor(token=a_token(None)))

        assert what.startswith("the API does not know who calls: the token names no verified email")
        assert fix == "send a token as it says"


class TestTheApi:
    @pytest.mark.parametrize(
        ("status", "what"),
        [
            (503, "{url}: the API does not start (503)"),
            (404, "{url} is not this API: it answered 404"),
        ],
    )
    def test_is_not_there(self, cloud: Cloud, doctor: Doctor, status: int, what: str) -> None:
        cloud.api_broken = status

        [[found, _]] = findings(doctor())

        assert found == what.format(url=cloud.api_url)

    def test_is_not_at_the_proxys_address(self, cloud: Cloud) -> None:
        command = ["--url", cloud.proxy_url, "doctor", "--token", a_token()]

        [[what, fix]] = findings(CliRunner().invoke(app, command))

        assert what == f"{cloud.proxy_url} is not this API: it answered 404"
        assert "terraform output api_url" in fix

    @pytest.mark.usefixtures("cloud")
    def test_is_at_no_address_of_that_name(self) -> None:
        nowhere = "http://nowhere.run.test:1"

        [[what, fix]] = findings(CliRunner().invoke(app, ["--url", nowhere, "doctor"]))

        assert what.startswith(f"{nowhere}: the API does not answer (")
        assert fix == "give --url what `terraform output api_url` prints"

    def test_has_lost_its_warehouse(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.do(cloud.warehouse.aclose())

        [[what, fix]] = findings(doctor())

        assert what.startswith("warehouse: ")
        assert "terraform plan" in fix

    @pytest.mark.parametrize("minutes", [-10, 10])
    def test_tells_another_time(self, cloud: Cloud, doctor: Doctor, minutes: int) -> None:
        cloud.clock.moved = timedelta(minutes=minutes)
        cloud.sweep(ago=-cloud.clock.moved)

        [[what, fix]] = findings(doctor())

        assert what in {"the clocks differ by 600 s", "the clocks differ by 599 s"}
        assert "NTP" in fix

    def test_has_not_seen_a_sweep_for_long(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.sweep(ago=timedelta(minutes=7))

        [[what, fix]] = findings(doctor())

        assert what.startswith("budgets are not swept: the last sweep finished at ")
        assert "Cloud Scheduler" in fix


class TestTheProxy:
    def test_is_not_looked_at_without_its_address(self, doctor: Doctor) -> None:
        done = doctor(proxy=None)

        assert done.exit_code == 0
        assert "Not looked at: the proxy (--proxy), " in done.output

    def test_never_sees_the_token_where_everybody_may_call_it(
        self, cloud: Cloud, doctor: Doctor
    ) -> None:
        doctor()

        hosts = [seen["host"] for seen in cloud.seen if "authorization" in seen]
        assert len(hosts) > 1
        assert {host.partition(":")[0] for host in hosts} == {"oco-api.run.test"}
        assert [seen for seen in cloud.seen if "x-serverless-authorization" in seen] == []

    def test_is_closed_to_the_public(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.proxy_invokers = set()

        [[what, fix]] = findings(doctor())

        assert what == f"the proxy: {ADA} may not invoke it"
        assert fix.startswith(f'add "user:{ADA}" to public_invokers')

    def test_is_sound_where_only_its_callers_may_call_it(
        self, cloud: Cloud, doctor: Doctor
    ) -> None:
        cloud.proxy_invokers = {ADA}

        assert doctor("--key", "ocg_x").exit_code == 0

    def test_asks_who_calls_where_nobody_says_so(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.proxy_invokers = {ADA}

        found = findings(doctor(token=None))

        what, fix = found[1]
        assert what == "the proxy: Cloud Run lets only some callers in (403)"
        assert fix.startswith('add "allUsers" to public_invokers')
        assert "X-Serverless-Authorization" in fix

    def test_is_not_at_the_apis_address(self, cloud: Cloud, doctor: Doctor) -> None:
        [[what, _]] = findings(doctor(proxy=cloud.api_url))

        assert what == f"{cloud.api_url} is not the proxy: it answered 404"

    def test_is_not_what_refuses_in_words_of_its_own(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.proxy_health = (403, {"error": {"message": "not here"}})

        [[what, _]] = findings(doctor())

        assert what == f"{cloud.proxy_url} is not the proxy: it answered 403"

    def test_does_not_answer(self, doctor: Doctor) -> None:
        [[what, _]] = findings(doctor(proxy="http://nowhere.run.test:1"))

        assert what.startswith("http://nowhere.run.test:1: the proxy does not answer (")

    @pytest.mark.parametrize(
        ("field", "what"),
        [
            ("version", f"the API is of version {VERSION} and the proxy of other"),
            ("book", "and the proxy charges by other"),
        ],
    )
    def test_is_of_another_release(
        self, cloud: Cloud, doctor: Doctor, field: str, what: str
    ) -> None:
        cloud.proxy_health[1][field] = "other"

        [[found, fix]] = findings(doctor())

        assert found.endswith(what)
        assert fix == "run scripts/bundle and terraform apply"

    def test_lacks_the_key_of_a_configured_upstream(self, cloud: Cloud, doctor: Doctor) -> None:
        """A vendor may live without: its callers bring their own keys."""
        configured = CliRunner().invoke(
            app,
            [
                *("--url", cloud.api_url, "--token", a_token(), "upstreams", "set", "groq"),
                *("--base-url", "https://api.groq.com/openai/v1"),
                *("--credential", "main=GROQ_API_KEY"),
            ],
        )
        assert configured.exit_code == 0, configured.output
        cloud.proxy_status = (200, {"upstreams": [GROQ, OPENAI]})

        [[what, fix]] = findings(doctor("--key", "ocg_x"))

        assert what == "upstream groq: GROQ_API_KEY is not set where the proxy runs"
        assert "secret_versions" in fix

    def test_refuses_the_gateway_key(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.proxy_status = (401, {"error": {"message": "This gateway key is revoked."}})

        [[what, fix]] = findings(doctor("--key", "ocg_x"))

        assert what == "the proxy does not tell how it stands: This gateway key is revoked."
        assert "keys list" in fix


class TestCalls:
    def test_are_not_counted(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.record(settled(1), settled(2))
        cloud.record(settled(3), counted=False)

        [[what, fix]] = findings(doctor())

        assert what == "1 of 3 calls of a day are not counted in budgets and reports"
        assert fix.startswith("scripts/dead_letters list")

    def test_are_not_in_the_warehouse(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.record(settled(1))
        cloud.record(settled(2), stored=False)

        [[what, _]] = findings(doctor())

        assert what == "1 of 2 calls of a day are not in the warehouse"

    def test_may_be_on_their_way(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.record(settled(1, event_time=datetime.now(UTC)), counted=False)

        assert doctor().exit_code == 0

    def test_have_no_price_at_a_provider_that_has_a_list(
        self, cloud: Cloud, doctor: Doctor
    ) -> None:
        unpriced = {"cost_nanos": None, "cost_reason": "unknown_model", "priced_nanos": 0}
        cloud.record(
            settled(1, provider="openai", model_billed="gpt-9", **unpriced),
            settled(2, provider=None, model_billed="our-own", **unpriced),
        )

        [[what, fix]] = findings(doctor())

        assert what == "1 calls of a day have no price, as the price book lacks gpt-9"
        assert "scripts/price_book" in fix

    def test_brought_no_key_and_found_none(self, cloud: Cloud, doctor: Doctor) -> None:
        cloud.record(settled(1, outcome="client_error", error_code="missing_provider_key"))

        [[what, fix]] = findings(doctor())

        assert what.startswith("1 calls of a day brought no provider key")
        assert "secret_values" in fix


class TestDeadLetters:
    def test_wait(self, doctor: Doctor, pubsub: Pubsub) -> None:
        for number in range(2):
            pubsub.publish("dead-letter", b"{}", {"type": "usage.call", "id": str(number)})

        runs = [doctor("--bus", pubsub.url) for _ in range(2)]

        assert [findings(each)[0][0] for each in runs] == ["2 dead letters wait"] * 2
        assert len(pubsub.take("dead-letter")) == 2

    def test_do_not_wait(self, doctor: Doctor, pubsub: Pubsub) -> None:
        done = doctor("--bus", pubsub.url, "--key", "ocg_x")

        assert (done.exit_code, done.output) == (0, NOTHING + SHADOW)

    @pytest.mark.usefixtures("pubsub")
    def test_cannot_be_looked_at(self, doctor: Doctor) -> None:
        [[what, fix]] = findings(doctor("--bus", "pubsub://elsewhere/oco"))

        assert what.startswith("dead letters cannot be looked at: subscriptions/oco-dead-letter")
        assert "roles/pubsub.editor" in fix


def test_tells_all_that_is_wrong_at_once(cloud: Cloud, doctor: Doctor) -> None:
    cloud.sweep(ago=HOUR)
    cloud.proxy_health[1]["version"] = "0.0.9"
    cloud.record(settled(1), counted=False)

    done = doctor("--json")

    document = json.loads(done.stdout)
    assert (done.exit_code, document["total"]["count"]) == (1, 3)
    assert [row.keys() for row in document["data"]] == [{"what", "fix"}] * 3


@pytest.mark.parametrize(
    "options",
    [
        ["--url", "oco-api.run.test"],
        ["--token", "two words"],
        ["--bus", "pubsub://only-a-project"],
        ["--nonsense"],
    ],
)
def test_ends_with_2_when_it_cannot_look(options: list[str]) -> None:
    assert CliRunner().invoke(app, ["doctor", *options]).exit_code == 2


@pytest.mark.parametrize(
    ("url", "trusts"),
    [
        ("https://oco-api.run.app", True),
        ("http://127.0.0.1:3000", False),
        ("http://localhost:3000", False),
        ("http://[::1]:3000", False),
        ("http://10.0.0.7:3000", True),
    ],
)
def test_goes_through_the_proxy_of_a_company_and_not_to_this_machine(
    url: str, *, trusts: bool
) -> None:
    with web_client(url, {}) as client:
        assert client.trust_env is trusts

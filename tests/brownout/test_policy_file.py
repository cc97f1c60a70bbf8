"""Everything that is wrong with a policy file is said at once, with its line and what is right."""

import pytest

from common.brownout.modes import Mode
from common.brownout.policy_file import MOST_BYTES, read_policy
from common.brownout.policy_problems import PolicyInvalid
from tests.brownout.policy_scenes import SMALL, refused, with_edits, with_line, with_soft


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ("{latency_p95: 2000}", "latency_p95: 2000 has no unit: write 2000ms or 2000s"),
        (
            "{latency_p95: {above: 2000}}",
            "latency_p95.above: 2000 has no unit: write 2000ms or 2000s",
        ),
        ("{latency_p95: {of: total}}", "latency_p95.above: is missing"),
        ("{latency_p95: [2s]}", "latency_p95: is no object"),
        ("{latency_p95: 0s}", "latency_p95: 0s is not between 1ms and 1h"),
        (
            "{latency_p95: {above: 2s, of: totl}}",
            "latency_p95.of: totl is not known here: do you mean total?",
        ),
        (
            "{latency_p95: {above: 2s, baseline: 1}}",
            "latency_p95.baseline: 1 must be more than 1: it is a multiple of what is usual",
        ),
        ("{latency_p95: {above: 2s, baseline: [2]}}", "latency_p95.baseline: is no number, as 1.5"),
        ("{latncy_p95: 2s}", "latncy_p95: latncy_p95 is not known here: do you mean latency_p95?"),
        (
            "{memory: 85%}",
            (
                "memory: memory is not known here: write one of latency_p95, error_rate, "
                "token_cost_per_hour, pending_requests"
            ),
        ),
        ("{error_rate: 5}", "error_rate: 5 is no share: write 5%, or a number from 0.0 to 1.0"),
        ("{error_rate: 0%}", "error_rate: 0% is not between 0.01% and 100%"),
        (
            "{token_cost_per_hour: 50}",
            "token_cost_per_hour: 50 has no currency: write $50 or 50 USD",
        ),
        ("{token_cost_per_hour: $0}", "token_cost_per_hour: $0 must be more than nothing"),
        ("{pending_requests: 1.5}", "pending_requests: 1.5 is no whole number"),
    ],
)
def test_says_what_is_wrong_with_a_threshold(thresholds: str, said: str) -> None:
    assert refused(with_soft(thresholds)) == [f"line 3: thresholds.soft.{said}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "enforcment: enforce",
            "enforcment: enforcment is not known here: do you mean enforcement?",
        ),
        ("enforcement: shadows", "enforcement: shadows is not known here: do you mean shadow?"),
        ("enforcement: on", "enforcement: true is not known here: write one of shadow, enforce"),
        ("reading: 5m", "reading: 5m is no object"),
        (
            "reading: {latency_p95: {baseline: [1.5, 2.5]}}",
            (
                "reading.latency_p95.baseline: "
                "must be three multiples, for soft, hard and emergency, or off"
            ),
        ),
        (
            "reading: {latency_p95: {baseline: [1.5, 1.5, 4]}}",
            "reading.latency_p95.baseline: must rise from soft to emergency",
        ),
        ("reading: {confidence: 10%}", "reading.confidence: 10% is not between 50% and 99.99%"),
        ("recovery: {dwell: 90}", "recovery.dwell: 90 has no unit: write 90ms or 90s"),
        ("recovery: {ramp: 0s}", "recovery.ramp: 0s is not between 1s and 1h"),
        ("recovery: {holdout: 80%}", "recovery.holdout: 80% is not between 0% and 50%"),
        ("signals: {lease: {own: 1s}}", "signals.lease.own: 1s is not between 30s and 24h"),
        (
            'signals: {map: {"17": {level: hard}}}',
            (
                "signals.map.17: 17 is no monitor: write monitor: and its id, "
                "or monitoring: and the name of a policy"
            ),
        ),
        (
            'signals: {map: {"monitor:17": {level: normal}}}',
            (
                "signals.map.monitor:17.level: normal is not known here: "
                "write one of soft, hard, emergency"
            ),
        ),
        (
            'signals: {map: {"monitor:17": {}}}',
            "signals.map.monitor:17: means nothing: write a level, a scope or both",
        ),
        (
            'per_scope: {"teem:a/b": {}}',
            (
                "per_scope.teem:a/b: teem:a/b is no scope: write global, or one of agent:, team:, "
                "org:, model:, provider: and a name"
            ),
        ),
        (
            'per_scope: {"team:search": {}}',
            "per_scope.team:search: team:search is no scope: write team:ORG/NAME",
        ),
        (
            'per_scope: {"model:a": {}, "MODEL:A": {}}',
            "per_scope.MODEL:A: MODEL:A is named twice here",
        ),
        (
            "assign: [{scope: global, strategy: defualt}]",
            (
                "assign[0].strategy: defualt is not known here: do you mean default? "
                "(names of strategies)"
            ),
        ),
        ("assign: [{scope: global}]", "assign[0].strategy: is missing"),
        ("assign: {global: default}", "assign: is no list"),
        (
            "assign: [{scope: global, strategy: default}, {scope: Global, strategy: default}]",
            "assign[1].scope: Global is named twice here",
        ),
        ("maps: {cheaper: {}}", "maps.cheaper: is empty"),
        (
            'maps: {cheaper: {"gpt 5": gpt-5-mini}}',
            "maps.cheaper.gpt 5: gpt 5 is no model: write its name without spaces",
        ),
        (
            "hints: {Brief: Short.}",
            "hints.Brief: Brief is no name: write lower case letters, digits, - and _, at most 60",
        ),
        ('hints: {brief: ""}', 'hints.brief: "" must have 1 to 300 characters'),
        (
            "hints: {brief: yes}",
            (
                "hints.brief: true is no text: put it in quotes "
                "(on, off, yes and no mean true and false)"
            ),
        ),
        (
            "incidents: {open_at: sof}",
            "incidents.open_at: sof is not known here: do you mean soft?",
        ),
        (
            "incidents: {procedures: {global: http://x}}",
            "incidents.procedures.global: http://x is no link: write one that begins with https://",
        ),
        (
            'incidents: {procedures: {"provder:*": https://x}}',
            "incidents.procedures.provder:*: provder:* is not known here: do you mean provider?",
        ),
        (
            'incidents: {procedures: {"provider:": https://x}}',
            (
                "incidents.procedures.provider:: provider: is no pattern of a scope: "
                "write one as provider:openai or team:acme/*"
            ),
        ),
        (
            "escalation: [{after: 10, to: [ops]}]",
            "escalation[0].after: 10 has no unit: write 10ms or 10s",
        ),
        ("escalation: [{after: 10m, to: []}]", "escalation[0].to: is empty"),
        (
            "escalation: [{after: 10m, to: [ops], min_severity: eror}]",
            "escalation[0].min_severity: eror is not known here: do you mean error?",
        ),
    ],
)
def test_says_what_is_wrong_in_a_section(line: str, said: str) -> None:
    assert refused(with_line(line)) == [f"line 7: {said}"]


def test_needs_a_strategy_for_everybody_who_has_no_other() -> None:
    assert refused(SMALL.replace("default: {}", "support: {}")) == [
        "line 5: strategies: needs one that is named default"
    ]


def test_needs_version_thresholds_and_strategies() -> None:
    assert refused("enforcement: shadow\n") == [
        "line 1: strategies: is missing",
        "line 1: thresholds: is missing",
        "line 1: version: is missing",
    ]


def test_refuses_another_version_of_the_format() -> None:
    assert refused(SMALL.replace("version: 1", "version: 2")) == ["line 1: version: 2 must be 1"]


@pytest.mark.parametrize("measure", ["latency_p95: 5s", "latency_p95: 5000ms", "latency_p95: 6s"])
def test_refuses_thresholds_that_do_not_rise(measure: str) -> None:
    [said] = refused(with_soft(f"{{{measure}}}"))

    written = measure.partition(": ")[2]
    assert said == f"line 4: thresholds.hard.latency_p95: 5s must be above the {written} of soft"


def test_compares_the_thresholds_of_a_scope_with_those_of_all() -> None:
    text = with_line('per_scope: {"model:a": {thresholds: {soft: {latency_p95: 1m}}}}')

    assert refused(text) == [
        "line 7: per_scope.model:a.thresholds.soft.latency_p95: 1m must be below the 5s of hard"
    ]


def test_compares_no_latency_of_the_first_chunk_with_one_of_all() -> None:
    latency = "{above: 60s, of: total, baseline: off}"
    text = with_line(
        f'per_scope: {{"model:a": {{thresholds: {{soft: {{latency_p95: {latency}}}}}}}}}'
    )

    assert read_policy(text).limits_for("model:a").soft.latency_p95 is not None


@pytest.mark.parametrize("off", ["off", '"off"', "false"])
def test_takes_off_as_yaml_reads_it_and_as_a_word(off: str) -> None:
    policy = read_policy(with_soft(f"{{latency_p95: {{above: 2s, baseline: {off}}}}}"))

    latency = policy.limits_for("global").soft.latency_p95
    assert latency is not None
    assert latency.baseline is None


def test_takes_a_member_without_value_as_none_at_all() -> None:
    text = with_line("per_scope:\nassign:\nmaps:\nhints:\nescalation:")

    assert read_policy(text) == read_policy(SMALL)


def test_completes_scopes_with_the_default_organisation() -> None:
    text = with_line(
        'per_scope: {"team:search": {}}\n'
        "assign: [{scope: agent:bot, strategy: default}]\n"
        'signals: {map: {"monitor:17": {level: hard, scope: "Team:Search"}}}'
    )

    policy = read_policy(text, default_org="acme")

    assert list(policy.per_scope) == ["team:acme/search"]
    assert policy.assigned == {"agent:acme/bot": "default"}
    meaning = policy.signals.monitors["monitor:17"]
    assert (meaning.level, meaning.scope) == (Mode.HARD, "team:acme/search")


def test_names_all_problems_in_the_order_of_the_file() -> None:
    text = (
        "version: 1\n"
        "thresholds:\n"
        "  soft: {latency_p95: 5s, error_rate: 5}\n"
        "  hard: {latency_p95: 5s, errors: 5%}\n"
        "hints: {brief: off}\n"
        "strategies:\n"
        "  support:\n"
        "    soft: [{hint: breif}]\n"
    )

    with pytest.raises(PolicyInvalid) as refusal:
        read_policy(text)

    assert refusal.value.detail.splitlines() == [
        "the policy has 6 errors:",
        "line 3: thresholds.soft.error_rate: 5 is no share: write 5%, or a number from 0.0 to 1.0",
        "line 4: thresholds.hard.errors: errors is not known here: do you mean error_rate?",
        "line 4: thresholds.hard.latency_p95: 5s must be above the 5s of soft",
        (
            "line 5: hints.brief: false is no text: put it in quotes "
            "(on, off, yes and no mean true and false)"
        ),
        "line 6: strategies: needs one that is named default",
        (
            "line 8: strategies.support.soft[0].hint: breif is not known here: "
            "do you mean brief? (names of hints)"
        ),
    ]
    assert (refusal.value.status, refusal.value.field) == (422, "thresholds.soft.error_rate")


def test_names_the_place_value_and_line_of_a_problem() -> None:
    with pytest.raises(PolicyInvalid) as refusal:
        read_policy(with_edits("[{hint: breif}]"))

    [problem] = refusal.value.problems
    assert (problem.line, problem.path, problem.value) == (
        6,
        "strategies.default.soft[0].hint",
        "breif",
    )


def test_shortens_a_long_value() -> None:
    [said] = refused(with_line(f"enforcement: {'x' * 1_000}"))

    assert said == (
        f"line 7: enforcement: {'x' * 60}... is not known here: write one of shadow, enforce"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: null is no object"),
        ("- a\n", "line 1: is no object"),
        ("version: 1\nversion: 1\n", "line 2: no YAML: this member stands here twice"),
        ("version: !!python/name:os.system\n", "line 1: no YAML: a tag that is not of a config"),
        ("version: 1\nx: &a [*a]\n", "no YAML: it cannot be read"),
        ("version: \x00", "no YAML: it cannot be read"),
        ("#" * (MOST_BYTES + 1), "is longer than 128 KiB"),
    ],
)
def test_refuses_what_cannot_be_read(text: str, said: str) -> None:
    assert refused(text) == [said]


def test_counts_what_aliases_stand_for() -> None:
    levels = [f"l{at}: &l{at} [{', '.join([f'*l{at - 1}'] * 10)}]" for at in range(1, 9)]

    [said] = refused("\n".join(["l0: &l0 [a]", *levels]))

    assert "more than 10000 values, aliases written out" in said

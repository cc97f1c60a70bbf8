"""A knob makes the simulated provider refuse a member, as a provider refuses an edit."""

from tests.simulated.conftest import Caller, chat, generate, message, told


def test_refuses_the_member_that_a_knob_names(caller: Caller) -> None:
    edited = chat(model="gpt-5", reasoning_effort="low")
    error = told(caller.openai(edited, refuse_member="reasoning_effort"))

    assert (error["param"], error["code"]) == ("reasoning_effort", "unsupported_parameter")
    assert caller.openai(chat(model="gpt-5"), refuse_member="reasoning_effort").status_code == 200


def test_refuses_one_value_of_the_member_that_a_knob_names(caller: Caller) -> None:
    knob = "max_completion_tokens=512"

    assert caller.openai(chat(max_completion_tokens=512), refuse_member=knob).status_code == 400
    assert caller.openai(chat(max_completion_tokens=900), refuse_member=knob).status_code == 200


def test_refuses_a_member_inside_of_others_and_of_lists(caller: Caller) -> None:
    picture = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"},
    }
    body = chat(messages=[{"role": "user", "content": [picture]}])
    knob = "messages.content.image_url.detail"

    assert told(caller.openai(body, refuse_member=knob))["param"] == knob
    cached = message(model="claude-opus-4-6", output_config={"effort": "low"})
    error = told(caller.anthropic(cached, refuse_member="output_config.effort"))
    assert error["message"].startswith("output_config.effort: Extra inputs are not permitted")


def test_refuses_a_member_of_gemini_in_its_words(caller: Caller) -> None:
    config = {"maxOutputTokens": 512}
    knob = {"x-simulated-refuse-member": "generationConfig.maxOutputTokens"}

    error = told(generate(caller, "gemini-2.5-flash", config, headers=knob))
    assert 'Unknown name "generationConfig.maxOutputTokens"' in error["message"]

"""Embeddings, moderations, files and batches: what is accepted, refused, kept and billed."""

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulated.conftest import Caller

EMBEDDINGS = "/openai/v1/embeddings"
SMALL = "text-embedding-3-small"
FORM = '--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x--\r\n'


def embedding(**fields: Any) -> dict[str, Any]:
    return {"model": SMALL, "input": "one", **fields}


def sent(caller: Caller, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {**caller.headers("/openai"), **options.pop("headers", {})}
    return caller.http.request(method, f"/openai/v1/{path}", headers=headers, **options)


def uploaded(caller: Caller, name: str = "a.jsonl", purpose: str = "batch") -> httpx.Response:
    return sent(
        caller, "POST", "files", files={"file": (name, b"{}\r\n")}, data={"purpose": purpose}
    )


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"input": "four"}, 1),
        ({"input": "fives"}, 2),
        ({"input": ["four", "four"]}, 2),
        ({"input": [1, 2, 3]}, 3),
        ({"input": [[1], [2, 3]]}, 3),
    ],
)
def test_counts_and_bills_the_tokens_of_embeddings(
    caller: Caller, fields: dict[str, Any], tokens: int
) -> None:
    reply = caller.post(EMBEDDINGS, embedding(**fields)).json()

    row = caller.row()
    assert reply["usage"] == row["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    # text-embedding-3-small, $0.02 per million tokens
    assert (row["model"], row["billed_nanos"], row["ending"]) == (SMALL, tokens * 20, "complete")


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({}, 1536),
        ({"model": "text-embedding-3-large"}, 3072),
        ({"model": "text-embedding-ada-002"}, 1536),
        ({"dimensions": 8}, 8),
    ],
)
def test_gives_vectors_of_unit_length(caller: Caller, fields: dict[str, Any], length: int) -> None:
    [vector] = caller.post(EMBEDDINGS, embedding(**fields)).json()["data"]

    assert len(vector["embedding"]) == length
    assert math.isclose(math.hypot(*vector["embedding"]), 1, rel_tol=1e-5)


def test_has_the_shape_of_a_recorded_reply(caller: Caller, provider_replies: Path) -> None:
    recorded = json.loads((provider_replies / "openai-embeddings.json").read_text())
    theirs = recorded["response"]["body"]

    ours = caller.post(EMBEDDINGS, recorded["request"]["body"]).json()

    [our], [their] = ours["data"], theirs["data"]
    assert (set(ours), ours["model"], ours["usage"]) == (
        set(theirs),
        theirs["model"],
        theirs["usage"],
    )
    assert (set(our), len(our["embedding"])) == (set(their), len(their["embedding"]))


def test_gives_the_same_vector_as_text_and_as_numbers(caller: Caller) -> None:
    numbers, text = (
        caller.post(EMBEDDINGS, embedding(encoding_format=encoding)).json()["data"][0]["embedding"]
        for encoding in ("float", "base64")
    )

    assert list(struct.unpack("<1536f", base64.b64decode(text))) == numbers


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"input": ""}, 400),
        ({"input": []}, 400),
        ({"input": ["one", ""]}, 400),
        ({"input": ["one", [1]]}, 400),
        ({"input": [[1], []]}, 400),
        ({"input": [1.5]}, 400),
        ({"input": {"text": "one"}}, 400),
        ({"input": None}, 400),
        ({"input": ["a"] * 2049}, 400),
        ({"input": "word " * 7000}, 400),
        ({"input": [[1] * 8000] * 38}, 400),
        ({"dimensions": 0}, 400),
        ({"dimensions": 1537}, 400),
        ({"dimensions": "8"}, 400),
        ({"dimensions": 8, "model": "text-embedding-ada-002"}, 400),
        ({"encoding_format": "int8"}, 400),
        ({"user": 1}, 400),
        ({"model": 1}, 400),
        ({"stream": True}, 400),
        ({"model": "gpt-4o"}, 403),
        ({"model": "none"}, 404),
    ],
)
def test_refuses_embeddings_that_openai_refuses(
    caller: Caller, fields: dict[str, Any], status: int
) -> None:
    answer = caller.post(EMBEDDINGS, embedding(**fields))

    assert (answer.status_code, set(answer.json()["error"])) == (
        status,
        {"message", "type", "param", "code"},
    )
    assert caller.rows() == []


def test_leaves_the_usage_out_when_told_to(caller: Caller) -> None:
    reply = caller.post(EMBEDDINGS, embedding(), fault="no-usage").json()

    assert "usage" not in reply
    assert caller.row()["usage_delivered"] is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"input": []}, 400),
        ({"input": 1}, 400),
        ({"input": "a", "model": "gpt-4o"}, 400),
        ({"input": "a", "stream": True}, 400),
        ({"input": [{"type": "sound"}]}, 400),
        ({"input": [{"type": "text"}]}, 400),
        ({"input": "a"}, 200),
    ],
)
def test_checks_moderations_and_never_bills_them(
    caller: Caller, body: dict[str, Any], status: int
) -> None:
    assert caller.post("/openai/v1/moderations", body).status_code == status
    assert caller.rows() == []


def test_flags_a_text_that_says_so(caller: Caller) -> None:
    reply = caller.post("/openai/v1/moderations", {"input": ["a", "[flag]"]}).json()

    assert [each["flagged"] for each in reply["results"]] == [False, True]
    assert reply["results"][1]["categories"]["violence"] is True


def test_keeps_a_file_byte_for_byte(caller: Caller) -> None:
    made = uploaded(caller).json()

    content = sent(caller, "GET", f"files/{made['id']}/content")
    assert (made["bytes"], made["filename"], made["purpose"]) == (4, "a.jsonl", "batch")
    assert (content.content, content.headers["content-type"]) == (
        b"{}\r\n",
        "application/octet-stream",
    )
    assert sent(caller, "DELETE", f"files/{made['id']}").json()["deleted"] is True
    assert sent(caller, "GET", f"files/{made['id']}").status_code == 404


def test_does_not_give_back_files_for_assistants(caller: Caller) -> None:
    made = uploaded(caller, "a.txt", "assistants").json()

    assert sent(caller, "GET", f"files/{made['id']}/content").status_code == 400


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "multipart/form-data"}, b""),
        ({"content-type": "multipart/form-data; boundary=x"}, b""),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\n\r\n"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nno name\r\n\r\n\r\n--x--"),
        ({"content-type": "multipart/form-data; boundary=x"}, FORM.encode()),
    ],
)
def test_refuses_an_upload_that_is_no_form_with_a_file(
    caller: Caller, headers: dict[str, str], content: bytes
) -> None:
    answer = sent(caller, "POST", "files", headers=headers, content=content)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_pages_through_files(caller: Caller) -> None:
    made = [uploaded(caller, purpose="evals").json()["id"] for _ in range(3)]
    query = {"purpose": "evals", "order": "asc", "after": made[0], "limit": "1"}

    page = sent(caller, "GET", "files", params=query).json()
    rest = sent(caller, "GET", "files", params={**query, "after": page["last_id"]}).json()

    assert ([each["id"] for each in page["data"]], page["has_more"]) == (made[1:2], True)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[2:], False)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"order": "up"}])
def test_refuses_a_page_that_openai_refuses(caller: Caller, query: dict[str, str]) -> None:
    assert sent(caller, "GET", "files", params=query).status_code == 400


def test_cancels_a_batch_once(caller: Caller) -> None:
    file = uploaded(caller).json()["id"]
    body = {"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"}
    made = sent(caller, "POST", "batches", json=body).json()

    answers = [sent(caller, "POST", f"batches/{made['id']}/cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert sent(caller, "GET", f"batches/{made['id']}").json()["status"] == "cancelled"
    assert caller.rows() == []


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "/v1/none"},
        {"completion_window": "1h"},
        {"metadata": "x"},
        {"input_file_id": 1},
        {"no_such_argument": 1},
    ],
)
def test_refuses_a_batch_that_openai_refuses(caller: Caller, change: dict[str, Any]) -> None:
    file = uploaded(caller).json()["id"]
    body = {"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"}

    assert sent(caller, "POST", "batches", json={**body, **change}).status_code == 400


def test_takes_files_for_batches_only(caller: Caller) -> None:
    file = uploaded(caller, purpose="evals").json()["id"]
    body = {"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"}

    assert sent(caller, "POST", "batches", json=body).json()["error"]["param"] == "input_file_id"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "embeddings", 405),
        ("PUT", "files", 405),
        ("POST", "files/a/content", 405),
        ("GET", "batches/a/cancel", 405),
        ("GET", "files/a/b", 404),
        ("GET", "moderations/a", 404),
    ],
)
def test_serves_no_other_route(caller: Caller, method: str, path: str, status: int) -> None:
    assert sent(caller, method, path).status_code == status


@pytest.mark.parametrize("path", ["embeddings", "moderations", "files", "batches"])
def test_asks_for_a_key(caller: Caller, path: str) -> None:
    assert caller.http.post(f"/openai/v1/{path}", json={}).status_code == 401

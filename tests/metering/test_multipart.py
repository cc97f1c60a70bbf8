"""A form is read only where every reader would read the same."""

import tracemalloc
from collections.abc import Collection, Mapping

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.multipart import is_announced, read_form
from common.llm.protocols import openai_media

WANTED = ("model", "stream")


def form_fields(body: bytes, wanted: Collection[str]) -> Mapping[str, str | None] | None:
    """The wanted fields, or None where any of them cannot be read for sure."""
    form = read_form(body, wanted)
    return None if form is None or None in form.fields.values() else form.fields


def part(head: str, value: bytes) -> bytes:
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


def named(name: str, value: bytes) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value)


MODEL = named("model", b"whisper-1")
FILE = part(
    'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg',
    bytes(range(256)) * 4,
)
END = b"--b--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        MODEL + END,
        FILE + MODEL + END,
        MODEL + FILE + b"--b--",
        MODEL + named("prompt", b"\r\n--\r\n" + b"x" * 100_000) + END,
        named("prompt", "日本".encode()) + MODEL + END,
        part('content-disposition: FORM-DATA; NAME="model"', b"whisper-1") + END,
        # As .NET writes it.
        part(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model",
            b"whisper-1",
        )
        + END,
        part(
            'Content-Disposition: form-data; name="file"; filename="a \\"b\\".mp3"; '
            "filename*=utf-8''a.mp3\r\nContent-Transfer-Encoding: binary",
            b"",
        )
        + MODEL
        + END,
    ],
)
def test_finds_a_field_wherever_it_stands(body: bytes) -> None:
    assert form_fields(body, WANTED) == {"model": "whisper-1"}


def test_reads_what_a_client_sends() -> None:
    files = {"image[]": ("a.png", b"\x89PNG", "image/png"), "mask": ("b.png", b"\x89PNG", "")}
    request = httpx.Request(
        "POST", "http://x", data={"model": "gpt-image-1", "stream": "true"}, files=files
    )

    facts = openai_media.read_facts(request.read())

    assert (facts.readable, facts.model, facts.stream) == (True, "gpt-image-1", True)
    assert facts.bounded is False


HIDDEN = part("X: y", b"").replace(b"--b", b"--c") + named("model", b"tts-1").replace(
    b"--b", b"--c"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"--b",
        b"--b\r\n",
        b"--b\n" + MODEL,
        MODEL,
        MODEL + b"--b",
        MODEL + b"--b--x",
        MODEL + END + MODEL + END,
        MODEL + MODEL + END,
        # Another boundary in the request's header would begin its form here.
        MODEL + named("file", HIDDEN) + END,
        MODEL + named("file", HIDDEN.upper()) + END,
        HIDDEN + MODEL + END,
        MODEL.replace(b"--b", b"--bc") + END,
        named("model", b"x" * 257) + END,
        named("model", b"a\r\nb") + END,
        named("model", b"m\0") + END,
        named("model", "é".encode()) + END,
        part('Content-Disposition: form-data; name="model"; filename="a"', b"a") + END,
        part('Content-Disposition: form-data; name="a"; name="model"', b"a") + END,
        part("Content-Disposition: form-data; name*=utf-8''model", b"a") + END,
        part('Content-Disposition: form-data; name="mo\\del"', b"a") + END,
        part('Content-Disposition: attachment; name="model"', b"a") + END,
        part(
            'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64',
            b"YQ==",
        )
        + END,
        part(
            'Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; '
            'name="model"',
            b"a",
        )
        + END,
        part('Content-Disposition: form-data;\r\n name="model"', b"a") + END,
        part("Content-Type: text/plain", b"a") + END,
        part("X: " + "y" * 5000, b"a") + END,
        named("x", b"") * 129 + END,
    ],
)
def test_does_not_read_what_another_could_read_otherwise(body: bytes) -> None:
    assert form_fields(body, WANTED) is None
    assert openai_media.read_facts(body).model is None


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_sees_a_hidden_field_across_its_blocks(at: int) -> None:
    word = b"--c\r\nCONTENT-disposition: x"
    value = b"x" * (256 * 1024 - len(MODEL) - 80 - len(word) + at) + word + b"y" * 300_000

    assert form_fields(MODEL + named("prompt", value) + END, WANTED) is None
    assert form_fields(MODEL + named("prompt", value.replace(b"-d", b"_d")) + END, WANTED)


def test_tells_the_parts_and_which_field_is_not_sure() -> None:
    body = MODEL + named("size", b"1x1") + named("size", b"2x2") + FILE + END

    form = read_form(body, ("model", "size"))

    assert form is not None
    assert form.fields == {"model": "whisper-1", "size": None}
    assert [(each.name, each.is_file) for each in form.parts] == [
        ("model", False),
        ("size", False),
        ("size", False),
        ("file", True),
    ]
    assert body[form.parts[3].start : form.parts[3].end] == bytes(range(256)) * 4


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [MODEL, FILE, END, b"--b\r\n", b"\r\n--b", b"\r\n", b"--b--", b'name="model"', b";",
             b"Content-Disposition: form-data; ", b"\r\n\r\n", named("stream", b"true")]
        ),
    ),
    max_size=8,
)  # fmt: skip


@settings(deadline=None)
@given(pieces=PIECES)
def test_takes_any_bytes(pieces: list[bytes]) -> None:
    fields = form_fields(b"--b\r\n" + b"".join(pieces), WANTED)

    assert fields is None or fields.keys() <= set(WANTED)


@settings(deadline=None)
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.png", "", "日本.png"]))
def test_reads_around_a_file_of_any_bytes(content: bytes, name: str) -> None:
    request = httpx.Request("POST", "http://x", data={"model": "m"}, files={"f": (name, content)})

    assert form_fields(request.read(), WANTED) == {"model": "m"}


def test_does_not_copy_files() -> None:
    body = MODEL + named("file", b"x" * (24 << 20)) + END

    tracemalloc.start()
    fields = form_fields(body, WANTED)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert fields == {"model": "whisper-1"}
    assert peak_bytes < 2 << 20


@pytest.mark.parametrize(
    ("content_type", "announced"),
    [
        ("multipart/form-data; boundary=b", True),
        ('multipart/form-data; charset=utf-8; Boundary="b"', True),
        ("multipart/form-data; boundary=bb", False),
        ("multipart/form-data; boundary=b; boundary=c", False),
        ("multipart/form-data", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_a_form_is_read_only_by_the_boundary_that_was_announced(
    content_type: str, announced: bool
) -> None:
    assert is_announced(MODEL + END, content_type) is announced

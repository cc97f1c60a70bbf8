"""The committed book is what the installed price list compiles to, and a damaged one is refused."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.core.errors import InvalidInput
from common.llm.price_book import FORMAT, PriceBook
from scripts.commands.price_book import BOOK, compiled_book, main


def test_it_is_up_to_date() -> None:
    assert main(["--check"]) == 0, "Run scripts/price_book and commit common/llm/book.json.gz."


@pytest.mark.parametrize("content", [None, b"[]", b'{"format": 1}'])
def test_it_says_what_to_run_when_the_book_is_out_of_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    book = tmp_path / "book.json.gz"
    if content is not None:
        book.write_bytes(gzip.compress(content))
    assert main(["--check", "--book", str(book)]) == 1
    assert "scripts/price_book" in capsys.readouterr().out


def test_it_writes_the_same_bytes_each_time(tmp_path: Path) -> None:
    book = tmp_path / "book.json.gz"
    assert main(["--book", str(book)]) == 0
    assert book.read_bytes() == compiled_book()
    assert main(["--check", "--book", str(book)]) == 0


def test_it_names_itself_by_its_content_and_says_what_it_was_made_from(book: PriceBook) -> None:
    assert len(book.digest) == 64
    assert PriceBook.load(BOOK.read_bytes()).digest == book.digest
    assert (
        PriceBook.load(gzip.compress(gzip.decompress(BOOK.read_bytes()), 1)).digest != book.digest
    )
    assert set(book.sources) == {"genai-prices", "limits", "overlay"}
    assert len(book.sources["genai-prices"]["sha256"]) == 64


def test_it_refuses_a_book_with_a_changed_byte() -> None:
    data = BOOK.read_bytes()
    for position in range(10, len(data), len(data) // 40):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(InvalidInput, match=r"damaged.*compile it again"):
            PriceBook.load(bytes(changed))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (b"{}", "damaged"),
        (BOOK.read_bytes()[:-1], "damaged"),
        (BOOK.read_bytes() + b"x", "damaged"),
        (gzip.compress(b""), "damaged"),
        (gzip.compress(b"not json"), "damaged"),
        (gzip.compress(b"[]"), "format None"),
        (gzip.compress(b'{"format": 99}'), "format 99"),
        (gzip.compress(json.dumps({"format": FORMAT}).encode()), "incomplete"),
        (
            gzip.compress(
                json.dumps(
                    {"format": FORMAT, "sources": {}, "units": {}, "providers": ["a", "b"]}
                ).encode()
                + b"\n{}"
            ),
            "incomplete",
        ),
    ],
    ids=range(10),
)
def test_it_refuses_what_is_no_book(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        PriceBook.load(data)
    assert raised.value.field == "price_book"


def test_it_reads_a_book_without_the_price_list_or_a_parser_for_people() -> None:
    code = (
        "import sys; from common.llm.price_book import bundled_book; bundled_book();"
        "sys.exit(bool({'genai_prices', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    root = BOOK.parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False, timeout=60)
    assert done.returncode == 0

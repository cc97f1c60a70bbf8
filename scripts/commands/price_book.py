"""Compile the price book from the installed genai-prices, the overlay and the table of limits.

Without arguments it writes `common/llm/book.json.gz`; `--check` writes nothing and exits 1 when the
committed book is not what this would write. Books are compared uncompressed: another zlib may pack
the same content into other bytes.
"""

import argparse
import gzip
import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import yaml
from genai_prices import data, data_units

from common.llm.compile_book import compile_book

LLM = Path(__file__).parents[2] / "common" / "llm"
BOOK = LLM / "book.json.gz"
OVERLAY = LLM / "overlay.yaml"
LIMITS = LLM / "limits.yaml"


def compiled_book() -> bytes:
    """The book made from what is installed and checked out."""
    overlay, limits = OVERLAY.read_bytes(), LIMITS.read_bytes()
    price_list = b"".join(Path(module.__file__ or "").read_bytes() for module in (data, data_units))
    sources = {
        "genai-prices": {
            "version": version("genai-prices"),
            "sha256": sha256(price_list).hexdigest(),
        },
        "limits": {"sha256": sha256(limits).hexdigest()},
        "overlay": {"sha256": sha256(overlay).hexdigest()},
    }
    laid_over = yaml.safe_load(overlay)
    laid_over["limits"] = yaml.safe_load(limits)["limits"] + laid_over.get("limits", [])
    return compile_book(data.providers, data_units.unit_data, laid_over, sources)


def differs(book: Path) -> bool:
    """Whether the file is not the book that would be written."""
    return not book.exists() or gzip.decompress(book.read_bytes()) != gzip.decompress(
        compiled_book()
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/price_book", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the book is out of date")
    parser.add_argument("--book", type=Path, default=BOOK, help="the file (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not options.check:
        options.book.write_bytes(compiled_book())
        return 0
    if differs(options.book):
        print(f"{options.book.name} is out of date. Run scripts/price_book and commit it.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`scripts/cloudops price-books`: the books of prices, what waits, and your approval."""

from typing import Annotated

import typer

from scripts.commands.cloudops_client import segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

price_books = typer.Typer(
    help="Price books: the public list as it is taken, and what of it waits.", no_args_is_help=True
)

Book = Annotated[str, typer.Argument(help="its SHA-256, as `price-books list` shows it")]


@command(price_books, "list")
def list_books(session: Session) -> None:
    """Price books, newest first."""
    rows, last = session.client.rows("price-books", {})
    if session.as_json:
        print_list(rows, last["total"])
        return
    names = ("number", "sha", "made_at", "made_by", "held")
    print_table(
        [Column(name) for name in names], [[cell(row[name]) for name in names] for row in rows]
    )
    typer.echo(last["answer"])


@command(price_books, "show")
def show_book(session: Session, book: Book) -> None:
    """What of the public list is not in a book, and why."""
    answer = session.client.get(_path(book), {})
    if session.as_json:
        print_answer(session, answer)
        return
    for card in answer["data"]["cards"]:
        typer.echo(f"{card['card']}: {card['told']}")
    typer.echo(answer["answer"])


@command(price_books, "approve")
def approve(
    session: Session,
    book: Book,
    models: Annotated[list[str], typer.Argument(help="what may be taken, as PROVIDER/MODEL")],
) -> None:
    """Take new prices that are held."""
    print_answer(session, session.client.post(f"{_path(book)}:approve", {"models": models}))


def _path(book: str) -> str:
    return f"price-books/{segment(book)}"

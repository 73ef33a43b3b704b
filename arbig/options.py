"""What an option of a command may not hold, wherever the command is."""

from urllib.parse import urlsplit

import typer


def no_password(url: str | None) -> str | None:
    """Refuse a password: everybody on this machine can read a command line."""
    if url and urlsplit(url).password:
        raise typer.BadParameter("no password here, where ps shows it: name a file that holds it")
    return url

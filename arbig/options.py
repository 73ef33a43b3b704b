"""Where a password must not stand: on a command line, and in the query of a URL.

By the text, for programs differ in how they take a URL apart: what comes after a "/" in a password
is part of it to one, and a path to another.
"""

import re
from urllib.parse import unquote

import typer

_BEFORE_HOST = re.compile(r"://[^/@]*:[^@]+@")
_IN_QUERY = re.compile(r"[?&]\w*(password|passwd)=", re.IGNORECASE)


def no_password(url: str | None) -> str | None:
    """Refuse a password: everybody on this machine can read a command line."""
    if url and (_BEFORE_HOST.search(url) or password_in_query(url)):
        raise typer.BadParameter("no password here, where ps shows it: name a file that holds it")
    return url


def password_in_query(url: str) -> bool:
    """Tell whether the query gives a password: nobody would hide it where the URL is shown."""
    return bool(_IN_QUERY.search(unquote(url)))

"""How often the broker refused our login today; a restart does not forget it.

A broker locks an account after a few wrong passwords, and a supervisor that starts a service again
and again would send them all. Counted is what no later try can mend; of the credentials only a
salted hash is kept, to see that they are others now.
"""

import hashlib
import json
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from arbig.durable import write_whole

log = logging.getLogger(__name__)


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    day: str
    count: int
    error: str
    salt: str
    credentials: str


def _hash(credentials: Sequence[str], salt: str) -> str:
    # Slow on purpose: a password that can be guessed must not be found from its hash at once.
    told = json.dumps(list(credentials)).encode()
    return hashlib.scrypt(told, salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()


class LoginTries:
    """What the broker refused today of one account with these credentials; after `allowed` none is tried."""

    def __init__(self, path: Path, credentials: Sequence[str], allowed: int) -> None:
        self._path = path
        self._credentials = credentials
        self._allowed = allowed

    def locked(self, day: str) -> str:
        """Say why no login may be tried on this calendar day (YYYYMMDD, Shanghai); empty: one may."""
        try:
            kept = self._read(day)
        except (OSError, ValueError) as error:
            return f"the count of refused logins in {self._path} cannot be read ({error}): delete it, and restart"
        if kept is None or kept.count < self._allowed:
            return ""
        return (
            f"the broker refused {kept.count} logins today, the last by {kept.error}; another one could lock the "
            f"account. Mend the cause; then other credentials, or to delete {self._path}, allow tries again: restart"
        )

    def refuse(self, error: str, day: str) -> str:
        """Count a refusal, and say what came of it."""
        try:
            kept = self._read(day)
            count = 1 if kept is None else kept.count + 1
            salt = secrets.token_hex(16)
            made = _Kept(day=day, count=count, error=error, salt=salt, credentials=_hash(self._credentials, salt))
            write_whole(self._path, made.model_dump_json(indent=1) + "\n", mode=0o600)
        except (OSError, ValueError) as why:
            # Whoever restarts now repeats a login that nobody counts: stay, and say so.
            return f"{error}; not counted in {self._path} ({why}): do not restart before the cause is mended"
        return f"{error}; {count} of {self._allowed} refusals today, counted in {self._path}"

    def succeed(self) -> None:
        """Forget the refusals: the broker took the login."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("refused logins still counted", extra={"file": str(self._path), "error": str(error)})

    def _read(self, day: str) -> _Kept | None:
        """Give what counts; None for another day, other credentials, or none refused."""
        try:
            kept = _Kept.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ValueError("not what was written there") from error
        # A day that is still to come is a clock that was set back: it counts.
        if kept.day < day or kept.credentials != _hash(self._credentials, kept.salt):
            return None
        return kept

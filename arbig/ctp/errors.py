"""CTP's error numbers: which a later try can mend, and which would lock the account.

Source: the vendor's error table (error.xml), and the threads of people whose accounts were locked.
"""

from typing import Final

# The local front's answer to the library's handshake cannot be enciphered with the vendor's key;
# the library then reports this instead of OnFrontConnected, and everything after it works. In
# simulation it means "connected", in live trading it is a fault of the front.
HANDSHAKE: Final = 4040

# Try again later: not initialised, front not active, session limit, busy.
TRANSIENT: Final = frozenset({7, 8, 60, 90})

NAMES: Final = {
    3: "INVALID_LOGIN",
    7: "NOT_INITED",
    8: "FRONT_NOT_ACTIVE",
    25: "ORDER_NOT_FOUND",
    26: "INSUITABLE_ORDER_STATUS",
    60: "SESSION_LIMIT",
    63: "AUTH_FAILED",
    64: "NOT_AUTHENT",
    75: "LOGIN_FORBIDDEN",
    90: "NEED_RETRY",
    131: "WEAK_PASSWORD",
    140: "FIRST_LOGIN",
    141: "PASSWORD_EXPIRED",
}

# OnFrontDisconnected's reasons.
DISCONNECT: Final = {
    0x1001: "the front closed the connection",
    0x1002: "writing to the front failed",
    0x2001: "the front was silent for two minutes",
    0x2002: "the heartbeat could not be sent",
    0x2003: "the front sent a packet that cannot be read",
}


class CtpError(Exception):
    """CTP answered a request with an error."""

    def __init__(self, error_id: int, text: str) -> None:
        super().__init__(f"CTP error {error_id} {NAMES.get(error_id, '')}: {text}".replace(" :", ":"))
        self.error_id = error_id
        self.text = text

    @property
    def transient(self) -> bool:
        """Whether a later try may succeed; repeating any other login would lock the account."""
        return self.error_id in TRANSIENT


class DisconnectedError(Exception):
    """The connection to the front broke before the answer came."""

"""How each exchange tells what became of an order: the sequences of the vendor's manual.

An order's states are written u unknown, n not traded, p part traded, f all traded, c cancelled; T
is a trade.
"""

from typing import NamedTuple

from ctp_front.instrument import CFFEX, CZCE, DCE, GFEX, INE, SHFE


class Manner(NamedTuple):
    """What an exchange sends, and in which order."""

    # An order that fills at once is first told as not traded (u n, f T), or not (u, u f T).
    says_not_traded: bool
    # A fill is told as the state before it and the state after it (n f T), or as the latter alone (f T).
    repeats_state: bool
    # The cancel of what a FAK did not get comes before its trades (u, c, c T), or after (u n, n p T, c).
    cancels_first: bool


_LIKE_SHFE = Manner(says_not_traded=False, repeats_state=True, cancels_first=True)
_LIKE_CZCE = Manner(says_not_traded=False, repeats_state=True, cancels_first=False)
_LIKE_DCE = Manner(says_not_traded=True, repeats_state=False, cancels_first=False)

MANNERS = {
    SHFE: _LIKE_SHFE,
    INE: _LIKE_SHFE,
    CFFEX: _LIKE_SHFE,
    CZCE: _LIKE_CZCE,
    DCE: _LIKE_DCE,
    GFEX: _LIKE_DCE,
}

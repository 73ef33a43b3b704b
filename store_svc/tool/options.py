"""The options that the commands share, and what is wrong with a value of one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from arbig.calendar import SHANGHAI
from arbig.options import no_password
from arbig.store.v1.log_pb2 import LogLevel
from arbig.store.v1.strategy_pb2 import Signal, TriggerResult
from arbig.trade.v1.trade_pb2 import OrderState, PositionSide
from store_svc.tables.words import words


def _day(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).strftime("%Y%m%d")
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no day like 20260309') from None


def _moment(text: str) -> datetime:
    """Read a time; one without a zone is the exchange's."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no time like "2026-03-09 21:00"') from None
    return (time if time.tzinfo else time.replace(tzinfo=SHANGHAI)).astimezone(UTC).replace(tzinfo=None)


def _choice(enum: Any) -> Callable[[str], int]:
    """Read a word of an enum of the contract, without its prefix, as the tables keep it."""
    known = {word: number for number, word in words(enum.DESCRIPTOR).items() if number}

    def read(text: str) -> int:
        if text.upper() not in known:
            raise typer.BadParameter(f'"{text}" is not one of {", ".join(known)}')
        return known[text.upper()]

    return read


DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="Another database than that of the settings.", callback=no_password)
]
PasswordFile = Annotated[Path | None, typer.Option(help="Holds the password of the database's user.")]
Limit = Annotated[int, typer.Option(min=1, help="At most this many, the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one array of objects.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]
AccountId = Annotated[str | None, typer.Option("--account", help="Only this account.")]
Symbol = Annotated[str | None, typer.Option(help="Only this instrument.")]
Strategy = Annotated[str | None, typer.Option(help="Only this strategy.")]
Day = Annotated[str | None, typer.Option(help="Only this trading day, YYYYMMDD.", parser=_day)]
FirstDay = Annotated[str | None, typer.Option("--from", help="This trading day and later ones.", parser=_day)]
LastDay = Annotated[str | None, typer.Option("--to", help="This trading day and earlier ones.", parser=_day)]
OrderId = Annotated[str | None, typer.Option("--order", help="Only of this order.")]
States = Annotated[
    list[int] | None,
    typer.Option("--state", help="FILLED, ...; may be repeated.", parser=_choice(OrderState)),
]
Side = Annotated[int | None, typer.Option(help="LONG or SHORT.", parser=_choice(PositionSide))]
Results = Annotated[
    list[int] | None,
    typer.Option("--result", help="SUCCESS, ...; may be repeated.", parser=_choice(TriggerResult)),
]
Signals = Annotated[
    list[int] | None,
    typer.Option("--signal", help="BUY, ...; may be repeated.", parser=_choice(Signal)),
]
Level = Annotated[int | None, typer.Option(help="Only this level and graver ones.", parser=_choice(LogLevel))]
TextOption = Annotated[str | None, typer.Option("--text", help="Only what has this text in it; case does not matter.")]
Since = Annotated[datetime | None, typer.Option(help="This time and later; without a zone Shanghai's.", parser=_moment)]
Until = Annotated[datetime | None, typer.Option(help="Before this time.", parser=_moment)]
File = Annotated[Path, typer.Option("--file", "-f", help="The backup.")]

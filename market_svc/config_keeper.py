"""The market configuration in effect: its file, the record of its changes, and the stream of them.

The file is the configuration; the record beside it keeps the newest changes, so that their numbers
go on after a restart. The file is written first: where only that was done, the next look finds a
file that is not what the record says, and makes a change of it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from arbig.durable import write_whole
from arbig.errors import ArbigError, ConfigError, InvalidField, Refused, Unavailable
from arbig.fanout import Feed, element
from arbig.market.v1 import config_pb2 as pb
from arbig.stream.v1.stream_pb2 import Cursor
from market_svc import config_text
from market_svc.market_config import Known, change, check, complaints, defaults, rolled, updated, with_main

log = logging.getLogger(__name__)

# The changes that followers can still have.
KEPT = 100
LOOK_SECONDS = 1.0


class ConfigKeeper:
    """The configuration, and what may change it: a call, the file, a trading day."""

    def __init__(
        self,
        path: Path,
        record: Path,
        known: Callable[[], Known],
        now: Callable[[], Timestamp],
        last_day: str = "",
    ) -> None:
        """Begin with the file as it is; raises ConfigError for one that cannot be in effect.

        `known` gives the instruments, and the trading day of this process's newest tick; before
        there is one, `last_day` counts.
        """
        self.error = ""
        self._path = path
        self._record = record
        self._known = known
        self._now = now
        self._day, self._last_day = "", last_day
        self._mistaken = False
        self._complained: tuple[object, ...] = ()
        self._said: set[str] = set()
        self._seen = _text(path)
        config = _parsed(path, self._seen)
        kept = _recall(record)
        if not kept.changes:
            kept.cursor.epoch = now().ToMilliseconds()
            kept.changes.append(change(None, config, pb.MARKET_CONFIG_ORIGIN_DEFAULTS, now()))
            _write(record, json_format.MessageToJson(kept))
        self._changes = list(kept.changes)
        self.feed = Feed(kept.cursor.epoch, KEPT, self._changes[0].seq - 1)
        for one in self._changes:
            self._show(one)
        self._note(config, pb.MARKET_CONFIG_ORIGIN_FILE)

    @property
    def config(self) -> pb.MarketConfig:
        """The configuration in effect."""
        return self._changes[-1].config

    def update(self, request: pb.UpdateMarketConfigRequest) -> pb.MarketConfig:
        """Change it as a caller wishes; raises InvalidField, and Refused while the file has a mistake."""
        self.look()
        if self.error:
            raise Refused(f"{self.error}: mend that first, nothing changed", "BAD_CONFIG_FILE")
        self._take(updated(self.config, request, self._knows()), pb.MARKET_CONFIG_ORIGIN_CALL)
        return self.config

    def look(self) -> None:
        """See whether the file was edited, a trading day began, or a main contract can be chosen."""
        known = self._knows()
        mistake = self._tried(lambda: self._read_again(known))
        self._mistaken = bool(mistake)
        by_day, by_rule = pb.MARKET_CONFIG_ORIGIN_TRADING_DAY, pb.MARKET_CONFIG_ORIGIN_DEFAULTS
        unkept = self._tried(lambda: self._take(rolled(self.config, known.trading_day), by_day))
        unkept = self._tried(lambda: self._take(with_main(self.config, known), by_rule)) or unkept
        error = mistake or unkept
        if error and error != self.error:
            log.error("the market configuration stays as it was", extra={"why": error})
        self.error = error
        self._complain(known)

    @staticmethod
    def _tried(step: Callable[[], None]) -> str:
        try:
            step()
        except (ArbigError, ConfigError) as error:
            return str(error)
        return ""

    def _knows(self) -> Known:
        # At night exchanges do not agree on the day: the newest tick's may be the earlier one.
        known = self._known()
        self._day = max(self._day, known.trading_day)
        return known._replace(trading_day=self._day or self._last_day)

    def _read_again(self, known: Known) -> None:
        """Take in the file where it is another; raises ConfigError for one that cannot be in effect."""
        # Its text, not its time: two edits may share that.
        if (text := _text(self._path)) == self._seen:
            return
        written = _parsed(self._path, text)
        if written != self.config:
            # A mistake may have stood in it when a trading day began.
            config = rolled(written, known.trading_day)
            try:
                check(config, self.config, known)
            except InvalidField as error:
                raise ConfigError(f"{self._path}: {error}") from error
            if config != written:
                _write(self._path, config_text.render(config, text))
            self._note(config, pb.MARKET_CONFIG_ORIGIN_FILE)
        self._seen = text

    def _complain(self, known: Known) -> None:
        """Say once what does not fit the market."""
        if (about := (self.feed.head, len(known.instruments), known.trading_day)) != self._complained:
            self._complained = about
            for complaint in set(complaints(self.config, known)) - self._said:
                self._said.add(complaint)
                log.warning("the market configuration does not fit", extra={"what": complaint})

    def _take(self, config: pb.MarketConfig, origin: "pb.MarketConfigOrigin.ValueType") -> None:
        """Put a change into effect, on the disk first."""
        # A mistake that somebody is mending is not written over: what is mended still says what comes next.
        if config != self.config and not self._mistaken:
            _write(self._path, config_text.render(config, self._seen))
        self._note(config, origin)

    def _note(self, config: pb.MarketConfig, origin: "pb.MarketConfigOrigin.ValueType") -> None:
        """Keep a change in the record, and let the followers see it."""
        if config == self.config:
            return
        new = change(self._changes[-1], config, origin, self._now())
        changes = [*self._changes, new][-KEPT:]
        kept = pb.WatchMarketConfigResponse(changes=changes, cursor=Cursor(epoch=self.feed.epoch, seq=new.seq))
        _write(self._record, json_format.MessageToJson(kept))
        self._changes = changes
        self._show(new)
        origin_name = pb.MarketConfigOrigin.Name(origin).removeprefix("MARKET_CONFIG_ORIGIN_")
        log.info("market configuration", extra={"changed": ",".join(new.changed), "origin": origin_name})

    def _show(self, one: pb.MarketConfigChange) -> None:
        self.feed.append("", element(one.SerializeToString()))
        self.feed.wake()

    async def keep_looking(self) -> None:
        """Look again and again, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)


def make(path: Path, symbols: Iterable[str]) -> None:
    """Begin a file with the defaults, and the symbols that the settings name; raises ConfigError."""
    config = defaults(symbols)
    try:
        check(config, pb.MarketConfig(), Known())
    except InvalidField as error:
        raise ConfigError(f"market.{error}") from error
    _write(path, config_text.render(config))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _parsed(path: Path, text: str) -> pb.MarketConfig:
    """Read the file's text; raises ConfigError that names what is wrong, whatever instruments there are."""
    try:
        config = config_text.parse(text)
        check(config, pb.MarketConfig(), Known())
    except (ValueError, InvalidField) as error:
        raise ConfigError(f"{path}: {error}") from error
    return config


def _recall(record: Path) -> pb.WatchMarketConfigResponse:
    """Read the newest changes and the epoch; nothing where there is no record yet."""
    if not record.exists():
        return pb.WatchMarketConfigResponse()
    try:
        return json_format.Parse(record.read_text(), pb.WatchMarketConfigResponse())
    except (ValueError, json_format.ParseError) as error:
        what = f"{record} is not what was written: {error}; without it the changes are numbered anew"
        raise ConfigError(what) from error


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        what = f"the market configuration cannot be kept in {path}: {error.strerror}"
        raise Unavailable(what, "NOT_KEPT") from error

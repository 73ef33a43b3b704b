// One-minute bars from ticks, keyed by the exchange's time.

import type { Tick } from "./wire";

export interface Bar {
  minute: number; // seconds since 1970, at the bar's beginning
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

const KEPT = 720;
const MINUTE = 60;
// A step back further than this is another recording, not a late tick.
const ANOTHER_RECORDING = 10 * MINUTE;

export class Bars {
  readonly bars: Bar[] = [];
  private volume: number | undefined;
  private tradingDay = "";

  // Gives the bar that the tick changed; undefined if it changed none.
  apply(tick: Tick): Bar | undefined {
    if (tick.lastPrice === undefined || tick.time === undefined) return undefined;
    const minute = Math.floor(tick.time / 1000 / MINUTE) * MINUTE;
    const traded = this.traded(tick);
    const last = this.bars.at(-1);
    if (last && minute < last.minute - ANOTHER_RECORDING) this.bars.length = 0;
    else if (last && minute <= last.minute) return extend(last, tick.lastPrice, traded);
    return this.begin(minute, tick.lastPrice, traded);
  }

  private begin(minute: number, price: number, volume: number): Bar {
    const bar = { minute, open: price, high: price, low: price, close: price, volume };
    this.bars.push(bar);
    if (this.bars.length > KEPT) this.bars.shift();
    return bar;
  }

  // The exchange counts volume from the beginning of the trading day.
  private traded(tick: Tick): number {
    const sameDay = tick.tradingDay === this.tradingDay;
    const before = sameDay ? this.volume : undefined;
    this.tradingDay = tick.tradingDay;
    this.volume = tick.volume;
    return before === undefined ? 0 : Math.max(0, tick.volume - before);
  }
}

function extend(bar: Bar, price: number, volume: number): Bar {
  bar.high = Math.max(bar.high, price);
  bar.low = Math.min(bar.low, price);
  bar.close = price;
  bar.volume += volume;
  return bar;
}

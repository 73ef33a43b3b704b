// The bars of one symbol as the market service builds them, the oldest first.

import type { Bar } from "./wire";

// As many as the topic has at most.
const KEPT = 720;

export class Bars {
  readonly bars: Bar[] = [];

  // Puts a bar in its place; true if that is the last one, so that a chart need not be drawn anew.
  put(bar: Bar): boolean {
    let at = this.bars.length;
    while (at > 0 && this.bars[at - 1]!.beginTime > bar.beginTime) at--;
    const known = this.bars[at - 1]?.beginTime === bar.beginTime;
    this.bars.splice(known ? at - 1 : at, known ? 1 : 0, bar);
    const last = this.bars.at(-1) === bar;
    if (this.bars.length > KEPT) this.bars.shift();
    return last;
  }
}

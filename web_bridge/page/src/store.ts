// What the page knows: signals that the panels read.

import { type Signal, computed, signal } from "@preact/signals";
import { Bars } from "./bars";
import type { Account, Bar, Instrument, Order, Position, StoreStatus, Tick, Trade, TradeStatus } from "./wire";

export const symbols = signal<string[]>([]);
export const orders = signal<ReadonlyMap<string, Order>>(new Map());
export const trades = signal<ReadonlyMap<string, Trade>>(new Map());
export const positions = signal<ReadonlyMap<string, Position>>(new Map());
export const instruments = signal<ReadonlyMap<string, Instrument>>(new Map());
export const mainContract = signal("");
export const account = signal<Account | undefined>(undefined);
export const status = signal<TradeStatus | undefined>(undefined);
export const storage = signal<StoreStatus | undefined>(undefined);
export const connected = signal(false);
export const links = signal<ReadonlyMap<string, { service: string; reason: string }>>(new Map());
export const lastTickAt = signal<number | undefined>(undefined);

const CHOSEN = "arbig.symbol";
const chosenByUser = signal(localStorage.getItem(CHOSEN) ?? "");

const ticks = new Map<string, Signal<Tick>>();
let bars = new Bars();
const barListeners = new Set<(bar?: Bar) => void>();

// The remembered symbol, or the main contract, or the one in which the market holds most, once there are prices.
export const chosen = computed(() => {
  const known = symbols.value;
  const wished = [chosenByUser.value, mainContract.value].find((symbol) => known.includes(symbol));
  if (wished) return wished;
  const interest = (symbol: string) => ticks.get(symbol)?.peek().openInterest ?? 0;
  return known.toSorted((a, b) => interest(b) - interest(a))[0] ?? "";
});

export function choose(symbol: string): void {
  chosenByUser.value = symbol;
  localStorage.setItem(CHOSEN, symbol);
}

export function tickOf(symbol: string): Tick | undefined {
  return ticks.get(symbol)?.value;
}

export function stepOf(symbol: string): number {
  return instruments.value.get(symbol)?.priceTick || 0.02;
}

// The chosen symbol's, the oldest first.
export function shownBars(): readonly Bar[] {
  return bars.bars;
}

// Calls with the last bar when that changed, and without one when all are to be drawn anew.
export function onBars(listener: (bar?: Bar) => void): () => void {
  barListeners.add(listener);
  return () => barListeners.delete(listener);
}

export function clearBars(): void {
  bars = new Bars();
  for (const listener of barListeners) listener();
}

export function takeBars(items: Bar[], fresh: boolean): void {
  if (fresh) bars = new Bars();
  // In turn, since all must be put.
  const inOrder = items.map((bar) => bars.put(bar)).every((last) => last);
  const news = inOrder && !fresh ? items : [undefined];
  for (const bar of news) for (const listener of barListeners) listener(bar);
}

export function takeTicks(items: Tick[], fresh: boolean): void {
  for (const tick of items) {
    const known = ticks.get(tick.symbol);
    if (known) known.value = tick;
    else ticks.set(tick.symbol, signal(tick));
  }
  if (ticks.size !== symbols.peek().length) symbols.value = [...ticks.keys()].toSorted();
  // A snapshot may be old: its age is what the clocks say. News is as old as its arrival.
  const received = Math.max(...items.map((tick) => tick.receiveTime ?? 0));
  lastTickAt.value = performance.now() - (fresh ? Math.max(0, Date.now() - received) : 0);
}

export function put<T>(into: Signal<ReadonlyMap<string, T>>, items: T[], key: (item: T) => string): void {
  const next = new Map(into.peek());
  for (const item of items) next.set(key(item), item);
  into.value = next;
}

const FINAL = new Set(["FILLED", "CANCELLED", "REJECTED"]);

export function working(order: Order): boolean {
  return !FINAL.has(order.state);
}

// Profit of the open lots at the last price; undefined without a price or lots.
export function unrealised(position: Position): number | undefined {
  const last = tickOf(position.symbol)?.lastPrice;
  const multiplier = instruments.value.get(position.symbol)?.multiplier;
  if (last === undefined || multiplier === undefined || position.openPrice === undefined) return undefined;
  const lots = (position.today + position.yesterday) * (position.side === "LONG" ? 1 : -1);
  return (last - position.openPrice) * lots * multiplier;
}

// What the page follows and calls: topics into the store, orders out.

import { effect } from "@preact/signals";
import { Socket } from "./socket";
import * as store from "./store";
import type { Account, Bar, Cursor, Direction, Instrument, MarketConfigChange, Offset, Order, Position, StoreStatus, Tick, Trade, TradeStatus } from "./wire";

const TRADE = "arbig.trade.v1.TradeService";
const RECORDS = "arbig.store.v1.RecordService";
const TRADE_STATUS_MS = 2_000;
const STORE_STATUS_MS = 5_000;

const scheme = location.protocol === "https:" ? "wss" : "ws";
const socket = new Socket(`${scheme}://${location.host}/ws`);

let tradingDay = "";

export interface NewOrder {
  symbol: string;
  direction: Direction;
  offset: Offset;
  price: number;
  volume: number;
}

export function submit(clientOrderId: string, order: NewOrder): Promise<{ order: Order }> {
  return socket.call(`${TRADE}/SubmitOrder`, { clientOrderId, type: "LIMIT", ...order });
}

export function cancel(order: Order): Promise<{ order: Order }> {
  return socket.call(`${TRADE}/CancelOrder`, { clientOrderId: order.clientOrderId, accountId: order.accountId });
}

export async function emergencyStop(): Promise<void> {
  await socket.call(`${TRADE}/EmergencyStop`, { reason: "stopped on the page" });
  await askTrade();
}

export async function goOn(): Promise<void> {
  await socket.call(`${TRADE}/SetTradingState`, { state: "ACTIVE", reason: "let go on, on the page" });
  await askTrade();
}

export function start(): void {
  socket.onState = (open) => {
    store.connected.value = open;
    if (!open) store.status.value = undefined;
  };
  socket.onLink = (service, stream, up, reason) =>
    store.put(store.links, [{ service, reason: up ? "" : reason }], () => stream);

  socket.follow<Tick>("tick.*", { items: store.takeTicks });
  socket.follow<Instrument>("instrument.*", {
    items: (items) => store.put(store.instruments, items, (one) => one.symbol),
  });
  socket.follow<MarketConfigChange>("market_config", {
    items: (items) => (store.mainContract.value = items.at(-1)?.config.mainContract ?? ""),
  });
  socket.follow<Position>("position.*", {
    items: (items, fresh) => {
      if (fresh) store.positions.value = new Map();
      store.put(store.positions, items, (one) => `${one.accountId}/${one.symbol}/${one.side}`);
    },
    reset: () => (store.positions.value = new Map()),
  });
  socket.follow<Account>("account.*", { items: (items) => (store.account.value = items.at(-1)) });
  socket.follow<Order>("order.*", { begin: listOrders, items: takeOrders });
  socket.follow<Trade>("trade.*", { begin: listTrades, items: takeTrades });

  effect(() => followBars(store.chosen.value));

  setInterval(() => void askTrade(), TRADE_STATUS_MS);
  setInterval(() => void askStore(), STORE_STATUS_MS);
  socket.connect();
}

function followBars(symbol: string): (() => void) | undefined {
  if (!symbol) return undefined;
  const topic = `bar.${symbol}`;
  store.clearBars();
  socket.follow<Bar>(topic, { items: store.takeBars, reset: store.clearBars });
  return () => socket.unfollow(topic);
}

function takeOrders(items: Order[]): void {
  store.put(store.orders, items, (order) => order.clientOrderId);
}

function takeTrades(items: Trade[]): void {
  store.put(store.trades, items, (one) => [one.tradingDay, one.exchange, one.tradeId, one.direction].join("/"));
}

async function listOrders(): Promise<Cursor> {
  void askTrade();
  void askStore();
  const list = await socket.call<{ orders: Order[]; cursor: Cursor }>(`${TRADE}/ListOrders`, {});
  store.orders.value = new Map(list.orders.map((order) => [order.clientOrderId, order]));
  return list.cursor;
}

// The day's earlier trades come from storage, the others from the stream; the key says which are the same.
async function listTrades(): Promise<Cursor> {
  store.trades.value = new Map();
  const { cursor } = await socket.call<{ cursor: Cursor }>(`${TRADE}/ListOrders`, { working: true });
  const status = await socket.call<TradeStatus>(`${TRADE}/GetStatus`, {});
  socket
    .call<{ trades: Trade[] }>(`${RECORDS}/ListTrades`, { tradingDay: status.tradingDay, pageSize: 200 })
    .then((list) => takeTrades(list.trades.toReversed()), () => (store.storage.value = undefined));
  return cursor;
}

async function askTrade(): Promise<void> {
  const absent = { readiness: "DISCONNECTED", mode: "", tradingDay: "" };
  const status = await socket
    .call<TradeStatus>(`${TRADE}/GetStatus`, {})
    .catch((error: Error) => ({ ...absent, reason: error.message }));
  store.status.value = status;
  if (!status.tradingDay || status.tradingDay === tradingDay) return;
  const another = tradingDay !== "";
  tradingDay = status.tradingDay;
  // Another day: yesterday's orders and trades leave the page.
  if (another) for (const topic of ["order.*", "trade.*"]) socket.renew(topic);
}

async function askStore(): Promise<void> {
  store.storage.value = await socket.call<StoreStatus>(`${RECORDS}/GetStatus`, {}).catch(() => undefined);
}

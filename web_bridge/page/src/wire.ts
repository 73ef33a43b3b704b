// What the bridge says: the contracts' messages as its encoder writes them.

export interface Cursor {
  epoch: number;
  seq: number;
}

export interface Tick {
  seq: number;
  symbol: string;
  exchange: string;
  tradingDay: string;
  time?: number;
  receiveTime?: number;
  lastPrice?: number;
  volume: number;
  openInterest?: number;
  preSettlementPrice?: number;
  upperLimitPrice?: number;
  lowerLimitPrice?: number;
  bidPrices: number[];
  bidVolumes: number[];
  askPrices: number[];
  askVolumes: number[];
  flags: string[];
}

export interface Bar {
  symbol: string;
  beginTime: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

export interface Instrument {
  symbol: string;
  multiplier: number;
  priceTick: number;
  status: string;
}

export interface MarketConfigChange {
  config: { mainContract: string };
}

export type Direction = "BUY" | "SELL";
export type Offset = "OPEN" | "CLOSE" | "CLOSE_TODAY" | "CLOSE_YESTERDAY";

export interface Order {
  clientOrderId: string;
  accountId: string;
  symbol: string;
  direction: Direction;
  offset: Offset;
  price: number;
  volume: number;
  filledVolume: number;
  averagePrice?: number;
  state: string;
  statusText: string;
  createTime?: number;
}

export interface Trade {
  tradingDay: string;
  exchange: string;
  tradeId: string;
  symbol: string;
  direction: Direction;
  offset: Offset;
  price: number;
  volume: number;
  time?: number;
}

export interface Position {
  accountId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  today: number;
  yesterday: number;
  todayFrozen: number;
  yesterdayFrozen: number;
  openPrice?: number;
}

export interface Account {
  accountId: string;
  balance: number;
  available: number;
  margin: number;
  commission: number;
  closeProfit: number;
  positionProfit: number;
}

export interface TradeStatus {
  readiness: string;
  reason: string;
  mode: string;
  tradingDay: string;
  // Which orders are let through; absent while that is not known.
  tradingState?: string;
  tradingStateReason?: string;
}

export interface StoreStatus {
  ready: boolean;
  reason: string;
  // Events that no table can hold.
  setAside: number;
}

export interface Refusal {
  code: string;
  reason: string;
  field: string;
  message: string;
}

export type Frame =
  | { op: "hello"; protocol: number }
  | { op: "link"; stream: string; service: string; up: boolean; reason: string }
  | { op: "subscribed"; topic: string; cursor?: Cursor }
  | { op: "unsubscribed"; topic: string; cursor?: Cursor }
  | { op: "items"; topic: string; items: unknown[]; cursor: Cursor }
  | { op: "gap"; topic: string; after: Cursor; resume: Cursor; reason: string }
  | { op: "reply"; id: number; response?: unknown; error?: Refusal }
  | { op: "error"; code: string; message: string }
  | { op: "pong" };

// The page's words, English and Chinese. The language also chooses the colours: red is up in China.

import { effect, signal } from "@preact/signals";

export type Language = "en" | "zh";

const WORDS = {
  account: ["Account", "账户"],
  ask: ["Ask", "卖"],
  available: ["Available", "可用"],
  average: ["Avg", "均价"],
  balance: ["Balance", "权益"],
  bid: ["Bid", "买"],
  bidAsk: ["Bid / Ask", "买 / 卖"],
  BUY: ["Buy", "买入"],
  cancel: ["Cancel", "撤单"],
  cancelling: ["Cancelling…", "撤单中…"],
  change: ["Change", "涨跌"],
  CLOSE: ["Close", "平仓"],
  CLOSE_TODAY: ["Close today", "平今"],
  CLOSE_YESTERDAY: ["Close yest.", "平昨"],
  closeProfit: ["Closed P&L", "平仓盈亏"],
  dataAge: ["Data age", "数据延迟"],
  depth: ["Depth", "五档行情"],
  filled: ["Filled", "成交"],
  goOn: ["Go on", "恢复交易"],
  frozen: ["Frozen", "冻结"],
  instrument: ["Symbol", "合约"],
  last: ["Last", "最新"],
  linkBridge: ["Bridge", "网桥"],
  linkMarket: ["Market", "行情"],
  linkStore: ["Storage", "存储"],
  linkTrade: ["Trade", "交易"],
  LONG: ["Long", "多"],
  main: ["main", "主力"],
  stale: ["stale", "失效"],
  margin: ["Margin", "保证金"],
  noOrders: ["No orders today", "今日无委托"],
  noPositions: ["No positions", "无持仓"],
  noTicks: ["Waiting for prices…", "等待行情…"],
  noTrades: ["No trades today", "今日无成交"],
  offset: ["Offset", "开平"],
  OPEN: ["Open", "开仓"],
  openInterest: ["OI", "持仓量"],
  openPrice: ["Open price", "开仓价"],
  orders: ["Orders", "委托"],
  ORDER_ACCEPTED: ["Working", "已报"],
  ORDER_CANCELLED: ["Cancelled", "已撤"],
  ORDER_FILLED: ["Filled", "全部成交"],
  ORDER_PARTIALLY_FILLED: ["Part filled", "部分成交"],
  ORDER_PENDING_CANCEL: ["Cancelling", "待撤"],
  ORDER_PENDING_NEW: ["Sending", "待报"],
  ORDER_REJECTED: ["Rejected", "废单"],
  ORDER_SUBMITTED: ["Submitted", "已提交"],
  ORDER_UNKNOWN: ["Unknown", "未知"],
  positionProfit: ["Open P&L", "持仓盈亏"],
  positions: ["Positions", "持仓"],
  price: ["Price", "价格"],
  profit: ["P&L", "盈亏"],
  READY: ["Ready", "就绪"],
  DISCONNECTED: ["Disconnected", "未连接"],
  CONNECTED: ["Authenticating", "认证中"],
  AUTHENTICATED: ["Logging in", "登录中"],
  LOGGED_IN: ["Logged in", "已登录"],
  LOADING: ["Loading", "加载中"],
  LOCKED_OUT: ["Locked out", "登录被拒"],
  SETTLEMENT_UNCONFIRMED: ["Confirming settlement", "确认结算单"],
  RECONCILING: ["Comparing", "核对中"],
  HALTED: ["Halted", "已暂停"],
  reconnecting: ["reconnecting…", "重新连接…"],
  SELL: ["Sell", "卖出"],
  send: ["Send", "下单"],
  sending: ["Sending…", "发送中…"],
  sent: ["Sent", "已发送"],
  setAside: ["events cannot be stored: see AdminService.ListSetAside", "条事件无法入库，见 AdminService.ListSetAside"],
  SHORT: ["Short", "空"],
  stop: ["Stop", "紧急停止"],
  stopSure: ["Stop and cancel all?", "确认停止并全部撤单？"],
  side: ["Side", "方向"],
  simulation: ["Simulation", "模拟"],
  live: ["LIVE", "实盘"],
  state: ["State", "状态"],
  ticket: ["Order", "下单"],
  time: ["Time", "时间"],
  today: ["Today", "今仓"],
  trades: ["Trades", "成交"],
  tradingDay: ["Trading day", "交易日"],
  uncertain: [
    "It is not known whether the order was sent. Sending again is safe: it cannot be sent twice.",
    "不确定委托是否已发出。再次发送是安全的：不会重复下单。",
  ],
  volume: ["Volume", "成交量"],
  lots: ["Lots", "手数"],
  watchlist: ["Watchlist", "自选"],
  wholeLots: ["a whole number of lots, at least 1", "手数须为正整数"],
  wholeTicks: ["a multiple of the price step", "价格须为最小变动价位的整数倍"],
  yesterday: ["Yest.", "昨仓"],
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof WORDS;

const REMEMBERED = "arbig.language";

export const language = signal<Language>(localStorage.getItem(REMEMBERED) === "zh" ? "zh" : "en");

effect(() => {
  localStorage.setItem(REMEMBERED, language.value);
  document.documentElement.lang = language.value;
});

export function t(word: Word): string {
  return WORDS[word][language.value === "zh" ? 1 : 0];
}

// A name that the contract may extend: shown as it is where we have no word for it.
export function named(name: string, prefix = ""): string {
  const word = prefix + name;
  return word in WORDS ? t(word as Word) : name;
}

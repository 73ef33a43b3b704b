// The day's orders, the newest first, and its trades.

import { signal } from "@preact/signals";
import { cancel } from "./desk";
import { average, clock, count, price } from "./format";
import { named, t } from "./i18n";
import { CallError } from "./socket";
import { orders, stepOf, trades, working } from "./store";
import type { Order, Trade } from "./wire";

const tab = signal<"orders" | "trades">("orders");
const cancelling = signal<ReadonlySet<string>>(new Set());
const fault = signal("");

export function Orders() {
  const open = [...orders.value.values()].filter(working).length;
  return (
    <section class="panel orders">
      <h2 class="tabs">
        <button class={tab.value === "orders" ? "on" : ""} onClick={() => (tab.value = "orders")}>
          {t("orders")} <em data-testid="orders-working">{open}</em>
        </button>
        <button class={tab.value === "trades" ? "on" : ""} data-testid="tab-trades" onClick={() => (tab.value = "trades")}>
          {t("trades")} <em>{trades.value.size}</em>
        </button>
        {fault.value && (
          <span class="fault" role="alert" data-testid="orders-error">
            {fault.value}
          </span>
        )}
      </h2>
      <div class="scroll">{tab.value === "orders" ? <OrderTable /> : <TradeTable />}</div>
    </section>
  );
}

async function press(order: Order): Promise<void> {
  if (cancelling.value.has(order.clientOrderId)) return;
  cancelling.value = new Set(cancelling.value).add(order.clientOrderId);
  fault.value = "";
  try {
    await cancel(order);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    fault.value = error.message;
  } finally {
    const rest = new Set(cancelling.value);
    rest.delete(order.clientOrderId);
    cancelling.value = rest;
  }
}

function OrderTable() {
  const newest = [...orders.value.values()].toSorted((a, b) => (b.createTime ?? 0) - (a.createTime ?? 0));
  if (newest.length === 0) return <p class="empty">{t("noOrders")}</p>;
  return (
    <table>
      <thead>
        <tr>
          <th class="text">{t("time")}</th>
          <th class="text">{t("instrument")}</th>
          <th class="text">{t("side")}</th>
          <th class="text">{t("offset")}</th>
          <th>{t("price")}</th>
          <th>{t("filled")}</th>
          <th>{t("average")}</th>
          <th class="text">{t("state")}</th>
          <th />
        </tr>
      </thead>
      <tbody>
        {newest.map((order) => (
          <OrderRow key={order.clientOrderId} order={order} />
        ))}
      </tbody>
    </table>
  );
}

function OrderRow({ order }: { order: Order }) {
  const step = stepOf(order.symbol);
  const pending = cancelling.value.has(order.clientOrderId) || order.state === "PENDING_CANCEL";
  return (
    <tr class={working(order) ? "" : "final"} data-testid={`order-row-${order.clientOrderId}`}>
      <td class="text dim">{clock(order.createTime)}</td>
      <td class="text symbol">{order.symbol}</td>
      <td class={`text ${order.direction.toLowerCase()}`}>{named(order.direction)}</td>
      <td class="text">{named(order.offset)}</td>
      <td>{price(order.price, step)}</td>
      <td>
        {count(order.filledVolume)}<em>/{count(order.volume)}</em>
      </td>
      <td>{average(order.averagePrice, step)}</td>
      <td class="text" title={order.statusText}>
        <span class={`state ${order.state}`} data-testid="order-state" data-state={order.state}>
          {named(order.state, "ORDER_")}
        </span>
      </td>
      <td>
        {working(order) && (
          <button class="quiet" data-testid="order-cancel" disabled={pending} onClick={() => void press(order)}>
            {pending ? t("cancelling") : t("cancel")}
          </button>
        )}
      </td>
    </tr>
  );
}

function TradeTable() {
  const newest = [...trades.value.entries()].toSorted(([, a], [, b]) => (b.time ?? 0) - (a.time ?? 0));
  if (newest.length === 0) return <p class="empty">{t("noTrades")}</p>;
  return (
    <table>
      <thead>
        <tr>
          <th class="text">{t("time")}</th>
          <th class="text">{t("instrument")}</th>
          <th class="text">{t("side")}</th>
          <th class="text">{t("offset")}</th>
          <th>{t("price")}</th>
          <th>{t("lots")}</th>
        </tr>
      </thead>
      <tbody>
        {newest.map(([key, trade]) => (
          <TradeRow key={key} trade={trade} />
        ))}
      </tbody>
    </table>
  );
}

function TradeRow({ trade }: { trade: Trade }) {
  return (
    <tr data-testid={`trade-row-${trade.tradeId}`}>
      <td class="text dim">{clock(trade.time)}</td>
      <td class="text symbol">{trade.symbol}</td>
      <td class={`text ${trade.direction.toLowerCase()}`}>{named(trade.direction)}</td>
      <td class="text">{named(trade.offset)}</td>
      <td>{price(trade.price, stepOf(trade.symbol))}</td>
      <td>{count(trade.volume)}</td>
    </tr>
  );
}

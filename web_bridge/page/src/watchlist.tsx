// Every symbol that has a price; a row is drawn anew only when its own tick changes.

import { count, price, signed, trend } from "./format";
import { t } from "./i18n";
import { choose, chosen, mainContract, stepOf, symbols, tickOf } from "./store";

export function Watchlist() {
  return (
    <section class="panel watch">
      <h2>{t("watchlist")}</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th class="text">{t("instrument")}</th>
              <th>{t("last")}</th>
              <th>{t("change")}</th>
              <th>{t("bidAsk")}</th>
              <th>
                {t("volume")}
                <br />
                {t("openInterest")}
              </th>
            </tr>
          </thead>
          <tbody>
            {symbols.value.map((symbol) => (
              <Row key={symbol} symbol={symbol} />
            ))}
          </tbody>
        </table>
        {symbols.value.length === 0 && <p class="empty">{t("noTicks")}</p>}
      </div>
    </section>
  );
}

function Row({ symbol }: { symbol: string }) {
  const tick = tickOf(symbol);
  if (!tick) return null;
  const step = stepOf(symbol);
  const { lastPrice: last, preSettlementPrice: before } = tick;
  const change = last === undefined || before === undefined ? undefined : last - before;
  const percent = change === undefined || !before ? undefined : (100 * change) / before;
  const tone = trend(change);
  return (
    <tr
      class={symbol === chosen.value ? "chosen" : ""}
      data-testid={`watch-row-${symbol}`}
      onClick={() => choose(symbol)}
    >
      <td class="text symbol">
        {symbol}
        {tick.flags.includes("STALE") && <small class="stale">{t("stale")}</small>}
        {symbol === mainContract.value && <small data-testid="main-contract">{t("main")}</small>}
      </td>
      <td class={`last ${tone}`} data-testid={`last-${symbol}`}>
        {price(last, step)}
      </td>
      <td class={tone}>
        {signed(change, (value) => price(value, step))}
        <small>{signed(percent, (value) => `${value.toFixed(2)}%`)}</small>
      </td>
      <td>
        <span class="quote">
          {price(tick.bidPrices[0], step)} <em>×{count(tick.bidVolumes[0])}</em>
        </span>
        <span class="quote">
          {price(tick.askPrices[0], step)} <em>×{count(tick.askVolumes[0])}</em>
        </span>
      </td>
      <td>
        {count(tick.volume)}
        <small>{count(tick.openInterest)}</small>
      </td>
    </tr>
  );
}

// Five levels of the chosen symbol; a click puts the price into the ticket.

import { count, price, signed, trend } from "./format";
import { t } from "./i18n";
import { chosen, stepOf, tickOf } from "./store";
import { fillPrice } from "./ticket";

const LEVELS = [0, 1, 2, 3, 4];

export function Depth() {
  const symbol = chosen.value;
  const tick = tickOf(symbol);
  const step = stepOf(symbol);
  const most = Math.max(1, ...(tick?.bidVolumes ?? []), ...(tick?.askVolumes ?? []));
  const before = tick?.preSettlementPrice;
  const tone = (value: number | undefined) =>
    trend(value === undefined || before === undefined ? undefined : value - before);
  const level = (side: "ask" | "bid", index: number) => {
    const at = (side === "ask" ? tick?.askPrices : tick?.bidPrices)?.[index];
    const lots = (side === "ask" ? tick?.askVolumes : tick?.bidVolumes)?.[index];
    return (
      <tr
        key={side + index}
        class={`level ${side}`}
        data-testid={`depth-${side}-${index + 1}`}
        onClick={() => at !== undefined && fillPrice(price(at, step))}
      >
        <td class="text dim">
          {t(side)} {index + 1}
        </td>
        <td class={tone(at)}>{price(at, step)}</td>
        <td class="bar">
          <i style={{ width: `${(100 * (lots ?? 0)) / most}%` }} />
          <span>{count(lots)}</span>
        </td>
      </tr>
    );
  };
  const last = tick?.lastPrice;
  return (
    <section class="panel depth">
      <h2>
        {t("depth")} <b>{symbol}</b>
      </h2>
      <table>
        <tbody>
          {LEVELS.toReversed().map((index) => level("ask", index))}
          <tr class="middle" onClick={() => last !== undefined && fillPrice(price(last, step))}>
            <td class="text dim">{t("last")}</td>
            <td class={`big ${tone(last)}`}>{price(last, step)}</td>
            <td class={tone(last)}>
              {signed(last === undefined || before === undefined ? undefined : last - before, (v) => price(v, step))}
            </td>
          </tr>
          {LEVELS.map((index) => level("bid", index))}
        </tbody>
      </table>
    </section>
  );
}

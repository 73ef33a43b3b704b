// Open lots, and what they are worth at the last price.

import { average, count, money, signed, trend } from "./format";
import { named, t } from "./i18n";
import { choose, positions, stepOf, unrealised } from "./store";
import type { Position } from "./wire";

export function Positions() {
  const held = [...positions.value.entries()]
    .filter(([, position]) => position.today + position.yesterday > 0)
    .toSorted(([a], [b]) => a.localeCompare(b));
  return (
    <section class="panel positions">
      <h2>{t("positions")}</h2>
      <div class="scroll">
        {held.length === 0 ? (
          <p class="empty">{t("noPositions")}</p>
        ) : (
          <table>
            <thead>
              <tr>
                <th class="text">{t("instrument")}</th>
                <th class="text">{t("side")}</th>
                <th>{t("today")}</th>
                <th>{t("yesterday")}</th>
                <th>{t("frozen")}</th>
                <th>{t("openPrice")}</th>
                <th>{t("profit")}</th>
              </tr>
            </thead>
            <tbody>
              {held.map(([key, position]) => (
                <Row key={key} position={position} />
              ))}
            </tbody>
          </table>
        )}
      </div>
    </section>
  );
}

function Row({ position }: { position: Position }) {
  const profit = unrealised(position);
  return (
    <tr
      data-testid={`position-row-${position.symbol}-${position.side.toLowerCase()}`}
      onClick={() => choose(position.symbol)}
    >
      <td class="text symbol">{position.symbol}</td>
      <td class={`text ${position.side === "LONG" ? "buy" : "sell"}`}>{named(position.side)}</td>
      <td data-testid="position-today">{count(position.today)}</td>
      <td data-testid="position-yesterday">{count(position.yesterday)}</td>
      <td>{count(position.todayFrozen + position.yesterdayFrozen)}</td>
      <td>{average(position.openPrice, stepOf(position.symbol))}</td>
      <td class={trend(profit)} data-testid="position-profit">
        {signed(profit, money)}
      </td>
    </tr>
  );
}

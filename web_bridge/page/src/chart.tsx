// Candles and volume of the chosen symbol.

import { effect } from "@preact/signals";
import {
  CandlestickSeries,
  type CandlestickData,
  ColorType,
  HistogramSeries,
  type HistogramData,
  type IChartApi,
  type UTCTimestamp,
  createChart,
} from "lightweight-charts";
import { useEffect, useRef } from "preact/hooks";
import { clock, decimals } from "./format";
import { language } from "./i18n";
import { chosen, onBars, shownBars, stepOf, tickOf } from "./store";
import type { Bar } from "./wire";

// The chart knows UTC only; the exchange lives eight hours ahead and has no summer time.
const SHANGHAI_SECONDS = 8 * 3_600;

export function ChartPanel() {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => draw(host.current!), []);
  const tick = tickOf(chosen.value);
  return (
    <section class="panel chart">
      <h2>
        <b data-testid="chart-symbol">{chosen.value}</b> 1m
        <span class="dim right">{clock(tick?.time)}</span>
      </h2>
      <div class="canvas" role="img" ref={host} data-testid="chart" />
    </section>
  );
}

function draw(host: HTMLElement): () => void {
  const chart = createChart(host, {
    autoSize: true,
    layout: { background: { type: ColorType.Solid, color: "transparent" }, textColor: "#8b94a3", fontSize: 11 },
    grid: { vertLines: { color: "#1b212b" }, horzLines: { color: "#1b212b" } },
    rightPriceScale: { borderColor: "#262d39", scaleMargins: { top: 0.08, bottom: 0.25 } },
    timeScale: { borderColor: "#262d39", timeVisible: true, secondsVisible: false, rightOffset: 4, barSpacing: 9 },
  });
  const stopDrawing = effect(() => show(chart, host, stepOf(chosen.value), language.value === "zh"));
  return () => {
    stopDrawing();
    chart.remove();
  };
}

// Draws the chosen symbol's bars, and goes on drawing until the returned function is called.
function show(chart: IChartApi, host: HTMLElement, step: number, redIsUp: boolean): () => void {
  const [up, down] = redIsUp ? ["#e5534b", "#3fa66b"] : ["#3fa66b", "#e5534b"];
  // Steps above 1 (rubber: 5) would give the axis labels that repeat.
  const priceFormat = { type: "price", minMove: Math.min(step, 1), precision: decimals(step) } as const;
  const candles = chart.addSeries(CandlestickSeries, {
    upColor: up, wickUpColor: up, downColor: down, wickDownColor: down, borderVisible: false, priceFormat,
  });
  const volumes = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  volumes.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });

  const at = (bar: Bar) => (bar.beginTime / 1_000 + SHANGHAI_SECONDS) as UTCTimestamp;
  const candle = (bar: Bar): CandlestickData => ({ time: at(bar), open: bar.open, high: bar.high, low: bar.low, close: bar.close });
  const column = (bar: Bar): HistogramData => ({ time: at(bar), value: bar.volume, color: `${bar.close < bar.open ? down : up}66` });

  const draw = (bar?: Bar) => {
    if (bar) {
      candles.update(candle(bar));
      volumes.update(column(bar));
    } else {
      candles.setData(shownBars().map(candle));
      volumes.setData(shownBars().map(column));
    }
    // A canvas says nothing to those who do not see it.
    const lots = shownBars().reduce((sum, one) => sum + one.volume, 0);
    host.ariaLabel = `${shownBars().length} bars, ${lots} lots, ${shownBars().at(-1)?.close ?? ""}`;
  };
  draw();
  const stopListening = onBars(draw);
  return () => {
    stopListening();
    chart.removeSeries(candles);
    chart.removeSeries(volumes);
  };
}

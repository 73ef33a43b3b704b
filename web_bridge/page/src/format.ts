// Numbers and times as a trader reads them.

const MONEY = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "Asia/Shanghai" });

export const NONE = "–";

// Digits behind the point that a price step needs: 2 for 0.02, 0 for 5.
export function decimals(step: number): number {
  const text = step.toString();
  return text.includes(".") ? text.length - text.indexOf(".") - 1 : 0;
}

export function price(value: number | undefined, step: number): string {
  return value === undefined ? NONE : value.toFixed(decimals(step));
}

// The average of several prices lies between two steps.
export function average(value: number | undefined, step: number): string {
  if (value === undefined) return NONE;
  const digits = decimals(step);
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits + 2, useGrouping: false });
}

export function money(value: number | undefined): string {
  return value === undefined ? NONE : MONEY.format(value);
}

export function count(value: number | undefined): string {
  return value === undefined ? NONE : COUNT.format(value);
}

export function signed(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? NONE : (value > 0 ? "+" : "") + format(value);
}

export function clock(milliseconds: number | undefined): string {
  return milliseconds === undefined ? NONE : CLOCK.format(milliseconds);
}

export function age(milliseconds: number): string {
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}

// The CSS class of a rise or a fall.
export function trend(value: number | undefined): string {
  return value === undefined || value === 0 ? "" : value > 0 ? "up" : "down";
}

// `value / step` as a whole number; undefined if it lies between two steps.
export function inSteps(value: number, step: number): number | undefined {
  const steps = Math.round(value / step);
  return Math.abs(value / step - steps) <= 1e-6 ? steps : undefined;
}

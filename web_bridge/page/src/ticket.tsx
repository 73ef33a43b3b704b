// The order ticket.

import { effect, signal } from "@preact/signals";
import { Attempt } from "./attempt";
import { type NewOrder, submit } from "./desk";
import { decimals, inSteps, price as priceText } from "./format";
import { type Word, named, t } from "./i18n";
import { CallError } from "./socket";
import { chosen, orders, stepOf, tickOf } from "./store";
import type { Direction, Offset } from "./wire";

const DIRECTIONS: Direction[] = ["BUY", "SELL"];
const OFFSETS: Offset[] = ["OPEN", "CLOSE", "CLOSE_TODAY", "CLOSE_YESTERDAY"];

const direction = signal<Direction>("BUY");
const offset = signal<Offset>("OPEN");
const price = signal("");
const volume = signal("1");
const sending = signal(false);
const sent = signal("");
const fault = signal<{ field: string; text: () => string } | undefined>(undefined);
const attempt = new Attempt();

export function fillPrice(text: string): void {
  price.value = text;
}

// Another symbol's price is not this one's.
effect(() => {
  if (chosen.value) price.value = "";
});

// An order of uncertain fate that shows up in the orders was sent: the next press is a new one.
effect(() => {
  const [known, busy] = [orders.value, sending.value];
  if (!busy && attempt.id && known.has(attempt.id)) {
    attempt.end(true);
    fault.value = undefined;
  }
});

function check(): NewOrder | undefined {
  const order = {
    symbol: chosen.value,
    direction: direction.value,
    offset: offset.value,
    price: price.value.trim() === "" ? NaN : Number(price.value),
    volume: Number(volume.value),
  };
  const bad = (field: string, word: Word) => void (fault.value = { field, text: () => t(word) });
  if (!(order.price > 0) || inSteps(order.price, stepOf(order.symbol)) === undefined) return bad("price", "wholeTicks");
  if (!Number.isInteger(order.volume) || order.volume < 1) return bad("volume", "wholeLots");
  return order;
}

async function press(event: MouseEvent): Promise<void> {
  const order = check();
  // `detail` counts the clicks of a double click.
  const id = order && event.detail < 2 ? attempt.begin(order, event.timeStamp) : undefined;
  if (!order || !id) return;
  sending.value = true;
  fault.value = undefined;
  sent.value = "";
  let known = true;
  try {
    await submit(id, order);
    sent.value = `${named(order.direction)} ${order.volume} × ${order.symbol} @ ${order.price}`;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    known = !error.uncertain;
    const { field, message } = error.refusal;
    fault.value = { field, text: () => (error.uncertain ? `${t("uncertain")} (${message})` : message) };
  } finally {
    attempt.end(known);
    sending.value = false;
  }
}

export function Ticket() {
  const symbol = chosen.value;
  const step = stepOf(symbol);
  const tick = tickOf(symbol);
  const opposite = direction.value === "BUY" ? tick?.askPrices[0] : tick?.bidPrices[0];
  const move = (steps: number) => {
    const from = inSteps(Number(price.value) || opposite || tick?.lastPrice || 0, step) ?? 0;
    price.value = ((from + steps) * step).toFixed(decimals(step));
  };
  const fields = ["price", "volume"];
  return (
    <section class="panel ticket">
      <h2>
        {t("ticket")} <b>{symbol}</b>
      </h2>
      <Choice names={DIRECTIONS} of={direction} kind="direction" />
      <Choice names={OFFSETS} of={offset} kind="offset" />
      <Field
        name="price"
        label={t("price")}
        text={price}
        placeholder={priceText(opposite ?? tick?.lastPrice, step)}
        move={move}
      />
      <Field
        name="volume"
        label={t("lots")}
        text={volume}
        placeholder="1"
        move={(steps) => (volume.value = String(Math.max(1, (Number(volume.value) || 0) + steps)))}
      />
      <button
        class={`send ${direction.value.toLowerCase()}`}
        data-testid="ticket-submit"
        disabled={sending.value || !symbol}
        onClick={(event) => void press(event)}
      >
        {sending.value ? t("sending") : `${t("send")} · ${named(direction.value)} ${named(offset.value)}`}
      </button>
      {fault.value && !fields.includes(fault.value.field) && <Fault />}
      {sent.value && !fault.value && (
        <p class="sent" data-testid="ticket-sent">
          {t("sent")}: {sent.value}
        </p>
      )}
    </section>
  );
}

function Fault() {
  return (
    <p class="fault" role="alert" data-testid="ticket-error" data-field={fault.value?.field}>
      {fault.value?.text()}
    </p>
  );
}

function Choice<T extends string>(props: { names: T[]; of: { value: T }; kind: string }) {
  return (
    <div class={`choice ${props.kind}`} role="radiogroup">
      {props.names.map((name) => (
        <button
          key={name}
          role="radio"
          aria-checked={props.of.value === name}
          class={`${name.toLowerCase()} ${props.of.value === name ? "on" : ""}`}
          data-testid={`ticket-${name.toLowerCase().replace("_", "-")}`}
          onClick={() => (props.of.value = name)}
        >
          {named(name)}
        </button>
      ))}
    </div>
  );
}

function Field(props: {
  name: string;
  label: string;
  text: { value: string };
  placeholder: string;
  move: (steps: number) => void;
}) {
  const wrong = fault.value?.field === props.name;
  return (
    <>
      <label class={wrong ? "field wrong" : "field"}>
        <span>{props.label}</span>
        <button class="step" tabIndex={-1} aria-label={`${props.label} −`} onClick={() => props.move(-1)}>
          −
        </button>
        <input
          data-testid={`ticket-${props.name}`}
          inputMode="decimal"
          autocomplete="off"
          value={props.text.value}
          placeholder={props.placeholder}
          onInput={(event) => (props.text.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            const steps = { ArrowUp: 1, ArrowDown: -1 }[event.key];
            if (!steps) return;
            event.preventDefault();
            props.move(steps);
          }}
        />
        <button class="step" tabIndex={-1} aria-label={`${props.label} +`} onClick={() => props.move(1)}>
          +
        </button>
      </label>
      {wrong && <Fault />}
    </>
  );
}

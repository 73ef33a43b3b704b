// The bar on top: what money there is, and how fresh and how whole everything on the page is.

import { useEffect, useState } from "preact/hooks";
import { emergencyStop, goOn } from "./desk";
import { age, money, signed, trend } from "./format";
import { type Word, language, named, t } from "./i18n";
import { account, connected, lastTickAt, links, status, storage } from "./store";

const REFRESH_MS = 200;
// After it, a first press on Stop is forgotten.
const SURE_MS = 3_000;
const LATE_MS = 2_000;
const STALE_MS = 6_000;

export function Header() {
  const mode = status.value?.mode;
  return (
    <header class="top">
      <span class="brand">ARBIG</span>
      {mode && <span class={`badge ${mode}`}>{named(mode)}</span>}
      <Money />
      <Stop />
      <div class="links">
        <DataAge />
        <Lamp name="linkBridge" up={connected.value} why={connected.value ? "" : t("reconnecting")} />
        <Lamp name="linkMarket" {...service("market")} />
        <TradeLamp />
        <StoreLamp />
      </div>
      <button
        class="quiet"
        data-testid="language"
        onClick={() => (language.value = language.value === "en" ? "zh" : "en")}
      >
        {language.value === "en" ? "中文" : "EN"}
      </button>
    </header>
  );
}

function Money() {
  const known = account.value;
  return (
    <dl class="money">
      <Figure name="balance" value={money(known?.balance)} testid="account-balance" />
      <Figure name="available" value={money(known?.available)} testid="account-available" />
      <Figure name="margin" value={money(known?.margin)} testid="account-margin" />
      <Figure name="closeProfit" value={signed(known?.closeProfit, money)} tone={trend(known?.closeProfit)} />
      <Figure name="positionProfit" value={signed(known?.positionProfit, money)} tone={trend(known?.positionProfit)} />
    </dl>
  );
}

function Figure(props: { name: Word; value: string; tone?: string; testid?: string }) {
  return (
    <div>
      <dt>{t(props.name)}</dt>
      <dd class={props.tone ?? ""} data-testid={props.testid}>
        {props.value}
      </dd>
    </div>
  );
}

// Pressed twice it halts trading and cancels every working order.
function Stop() {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) return;
    const timer = setTimeout(() => setAsked(false), SURE_MS);
    return () => clearTimeout(timer);
  }, [asked]);
  const state = status.value?.tradingState;
  if (!state || state === "UNSPECIFIED") return null;
  if (state === "HALTED") {
    return (
      <button class="quiet" data-testid="go-on" title={status.value?.tradingStateReason} onClick={() => void goOn()}>
        {t("HALTED")} · {t("goOn")}
      </button>
    );
  }
  const press = () => (asked ? void emergencyStop().finally(() => setAsked(false)) : setAsked(true));
  return (
    <button class="stop" data-testid="stop" onClick={press}>
      {t(asked ? "stopSure" : "stop")}
    </button>
  );
}

function DataAge() {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const since = lastTickAt.value === undefined ? undefined : Math.max(0, now - lastTickAt.value);
  const tone = since === undefined || since > STALE_MS ? "bad" : since > LATE_MS ? "late" : "";
  return (
    <span class={`age ${tone}`}>
      {t("dataAge")} <b data-testid="link-age">{since === undefined ? "–" : age(since)}</b>
    </span>
  );
}

function service(name: string): { up: boolean; why: string } {
  const own = [...links.value.values()].filter((link) => link.service === name);
  const why = own.map((link) => link.reason).find((reason) => reason);
  return { up: connected.value && own.length > 0 && !why, why: why ?? "" };
}

function TradeLamp() {
  const readiness = status.value?.readiness ?? "DISCONNECTED";
  const ready = readiness === "READY";
  const stream = service("trade");
  return (
    <Lamp
      name="linkTrade"
      up={ready && stream.up}
      why={stream.why || (status.value?.reason ?? "")}
      label={<span data-testid="trade-readiness">{named(readiness)}</span>}
    />
  );
}

function StoreLamp() {
  const known = storage.value;
  const why = known?.setAside ? `${known.setAside} ${t("setAside")}` : (known?.reason ?? "");
  return <Lamp name="linkStore" up={connected.value && known?.ready === true && !why} why={why} />;
}

function Lamp(props: { name: Word; up: boolean; why: string; label?: preact.ComponentChild }) {
  return (
    <span class="lamp" title={props.why} data-testid={`link-${props.name}`} data-up={props.up}>
      <i class={props.up ? "on" : "off"} />
      {t(props.name)} {props.label}
    </span>
  );
}

// One WebSocket that comes back by itself, follows topics by cursor, and makes calls.

import type { Cursor, Frame, Refusal } from "./wire";

const CALL_MS = 6_000;
const SILENCE_MS = 8_000;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 2_000;

// Codes after which nobody knows whether the call took effect, unless the service itself gave a reason.
const UNCERTAIN = new Set(["DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL", "UNAVAILABLE", "LOST"]);

export class CallError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }

  get uncertain(): boolean {
    return UNCERTAIN.has(this.refusal.code) && !this.refusal.reason;
  }
}

export interface Followed<T> {
  // `fresh` is true for the first items after a (new) subscription: a snapshot, not news.
  items(items: T[], fresh: boolean): void;
  // The place to begin after; without it, a STATE topic begins with what is, an EVENT topic now.
  begin?(): Promise<Cursor>;
  // What was known is no longer: the topic begins anew.
  reset?(): void;
}

interface Topic {
  followed: Followed<unknown>;
  cursor?: Cursor;
  subscribed: boolean;
  fresh: boolean;
}

interface Waiting {
  resolve(response: unknown): void;
  reject(error: CallError): void;
  timer: number;
}

export class Socket {
  onLink: (service: string, stream: string, up: boolean, reason: string) => void = () => {};
  onState: (open: boolean) => void = () => {};

  private socket: WebSocket | undefined;
  private readonly topics = new Map<string, Topic>();
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;
  private retryMs = FIRST_RETRY_MS;
  private heard = 0;

  constructor(private readonly url: string) {
    setInterval(() => this.watch(), SILENCE_MS / 4);
  }

  connect(): void {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = (event: MessageEvent<string>) => {
      this.heard = performance.now();
      this.take(JSON.parse(event.data) as Frame);
    };
    socket.onclose = () => this.closed(socket);
  }

  follow<T>(name: string, followed: Followed<T>): void {
    const topic = { followed: followed as Followed<unknown>, subscribed: false, fresh: true };
    this.topics.set(name, topic);
    if (this.open) void this.subscribe(name, topic);
  }

  unfollow(name: string): void {
    if (this.topics.delete(name)) this.say({ op: "unsubscribe", topic: name });
  }

  // Lists a topic anew, and follows it from there.
  renew(name: string): void {
    const topic = this.topics.get(name);
    if (!topic || !this.open) return;
    delete topic.cursor;
    void this.subscribe(name, topic);
  }

  call<T>(method: string, request: object): Promise<T> {
    const id = this.nextId++;
    return new Promise<T>((resolve, reject) => {
      if (!this.open) {
        // Never sent, so it is not uncertain; the caller may still send the same again.
        reject(new CallError(lost("NOT_CONNECTED", "not connected")));
        return;
      }
      const timer = window.setTimeout(() => {
        this.waiting.delete(id);
        reject(new CallError(lost("LOST", "no answer in time")));
      }, CALL_MS);
      this.waiting.set(id, { resolve: resolve as (response: unknown) => void, reject, timer });
      this.say({ op: "call", id, method, request });
    });
  }

  private get open(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  private say(frame: object): void {
    if (this.open) this.socket?.send(JSON.stringify(frame));
  }

  private take(frame: Frame): void {
    if (frame.op === "hello") this.opened();
    else if (frame.op === "link") this.onLink(frame.service, frame.stream, frame.up, frame.reason);
    else if (frame.op === "reply") this.answer(frame.id, frame.response, frame.error);
    else if (frame.op === "error") console.error("the bridge refused a frame:", frame.code, frame.message);
    else if ("topic" in frame) this.takeTopic(frame);
  }

  private takeTopic(frame: Extract<Frame, { topic: string }>): void {
    const topic = this.topics.get(frame.topic);
    if (!topic) return;
    if (frame.op === "subscribed") {
      topic.subscribed = true;
      topic.fresh = true;
      if (frame.cursor) topic.cursor = frame.cursor;
    } else if (frame.op === "items" && topic.subscribed) {
      topic.cursor = frame.cursor;
      topic.followed.items(frame.items, topic.fresh);
      topic.fresh = false;
    } else if (frame.op === "gap" && topic.subscribed) {
      topic.followed.reset?.();
      topic.cursor = frame.resume;
      // What was listed is not to be trusted any more: list again, and subscribe behind that.
      if (topic.followed.begin) this.renew(frame.topic);
    }
  }

  private async subscribe(name: string, topic: Topic): Promise<void> {
    topic.subscribed = false;
    const socket = this.socket;
    while (topic.followed.begin && !topic.cursor) {
      try {
        topic.cursor = await topic.followed.begin();
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, LAST_RETRY_MS / 2));
      }
      if (this.socket !== socket) return;
    }
    this.say({ op: "subscribe", topic: name, ...(topic.followed.begin ? { after: topic.cursor } : {}) });
  }

  private answer(id: number, response: unknown, error: Refusal | undefined): void {
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    this.waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error) waiting.reject(new CallError(error));
    else waiting.resolve(response);
  }

  private opened(): void {
    this.retryMs = FIRST_RETRY_MS;
    this.onState(true);
    for (const [name, topic] of this.topics) void this.subscribe(name, topic);
  }

  private closed(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = undefined;
    this.onState(false);
    for (const id of [...this.waiting.keys()]) this.answer(id, undefined, lost("LOST", "the connection broke"));
    setTimeout(() => this.connect(), this.retryMs);
    this.retryMs = Math.min(2 * this.retryMs, LAST_RETRY_MS);
  }

  // A half-open connection shows no error: say something, and expect to be answered.
  private watch(): void {
    const socket = this.socket;
    if (!socket) return;
    if (performance.now() - this.heard > SILENCE_MS) {
      socket.close();
      this.closed(socket);
    } else this.say({ op: "ping" });
  }
}

function lost(code: string, message: string): Refusal {
  return { code, reason: "", field: "", message };
}

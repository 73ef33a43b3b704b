// One wish to trade has one client_order_id, however often it is sent.
//
// The id is kept until it is known what became of the order: a retry after a broken call carries the
// same id, and the trade service sends an order once per id. Another content is another wish.

import type { NewOrder } from "./desk";

// A second press within this time is a double click, or a key that was held.
const DOUBLE_CLICK_MS = 500;

export class Attempt {
  id = "";
  private content = "";
  private pressedAt = -Infinity;
  private sending = false;

  constructor(private readonly newId: () => string = () => crypto.randomUUID()) {}

  // Gives the id to send the order with; undefined if it must not be sent now.
  begin(order: NewOrder, now: number): string | undefined {
    if (this.sending || now - this.pressedAt < DOUBLE_CLICK_MS) return undefined;
    const content = JSON.stringify(order);
    if (!this.id || content !== this.content) {
      this.id = this.newId();
      this.content = content;
    }
    this.sending = true;
    this.pressedAt = now;
    return this.id;
  }

  // The call ended; `known` says whether it is certain what became of the order.
  end(known: boolean): void {
    this.sending = false;
    if (known) this.id = "";
  }
}

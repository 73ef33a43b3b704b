"""The day's orders, and how one is found: by its number, by session and reference, or by the exchange's number."""

from collections.abc import Iterator

from ctp_front.orders import CancelRequest, Order, number_text


class OrderIndex:
    """Every order of the day, as it is now."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._by_reference: dict[tuple[str, int, int, str], int] = {}
        self._by_sys_id: dict[tuple[str, str], int] = {}
        self._sys_ids = 0

    def __getitem__(self, number: int) -> Order:
        return self._orders[number]

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders.values())

    def next_number(self) -> int:
        """Count one order more."""
        return len(self._orders) + 1

    def next_sys_id(self) -> str:
        """Give the number the exchange gives to an order it accepts."""
        return number_text(self._sys_ids + 1)

    def keep(self, order: Order) -> Order:
        """Keep an order as it is now."""
        self._orders[order.number] = order
        self._by_reference[order.symbol, order.front_id, order.session_id, order.order_ref.strip()] = order.number
        if order.sys_id:
            self._by_sys_id[order.exchange, order.sys_id.strip()] = order.number
            self._sys_ids = max(self._sys_ids, int(order.sys_id))
        return order

    def find(self, request: CancelRequest) -> Order | None:
        """Give the order that a cancel names."""
        sys_id = request.sys_id.strip()
        if sys_id:
            number = self._by_sys_id.get((request.exchange, sys_id))
        else:
            reference = (request.symbol, request.front_id, request.session_id, request.order_ref.strip())
            number = self._by_reference.get(reference)
        return None if number is None else self._orders[number]

    def forget_references(self) -> None:
        """Forget which sessions the orders came from."""
        self._by_reference.clear()

    def clear(self) -> None:
        """Begin another day."""
        self._orders.clear()
        self._by_reference.clear()
        self._by_sys_id.clear()
        self._sys_ids = 0

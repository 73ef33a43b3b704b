"""The trade service: orders in; order, trade, position and account events out."""

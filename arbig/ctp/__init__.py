"""What both CTP clients need: the locale, the login, the error table, callbacks on the loop."""

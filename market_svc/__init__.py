"""The market service: one tick source in, any number of followers out."""

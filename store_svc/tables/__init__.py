"""The tables, the views over them, and how they come to be what they are."""

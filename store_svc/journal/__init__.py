"""Remembering the trade service's journal."""

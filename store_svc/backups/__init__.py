"""Backups: what the tables were at one moment, in a file that either engine can be filled from."""

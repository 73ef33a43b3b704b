"""Ticks of the past: Redis streams while they are young, Parquet files afterwards."""

"""Strategies: their configurations, what they triggered, how they do."""

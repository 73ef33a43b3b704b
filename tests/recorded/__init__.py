"""Recorded days through the whole mesh, held against an independent reading of the same files."""

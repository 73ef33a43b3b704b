"""Trading under a seeded virtual clock: the service's own code against the exchange's own books.

Every wait is a place where anything may happen: a commit, a callback, a fill, a broken link, a kill.
A scenario is a seed; the same seed does the same.
"""

"""The storage service: a follower that remembers, and answers questions about the past."""

"""What we promise about speed, each figure beside its limit and a peer, measured in one run."""

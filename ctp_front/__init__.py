"""A local CTP front: the simulated exchange that the vendor's own library logs in to."""

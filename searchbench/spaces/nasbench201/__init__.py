"""The NAS-Bench-201 cell, its networks, its supernet, and stacks of its networks."""

"""Networks that are a chain of layers, each one of several blocks."""

"""Carrying out a whole study: what is sent to workers, what comes back, and what is written down."""

"""An objective of the user's own: a Python callable or a command, asked for a number."""

"""What a process is set up with, forked as, measured by, and must leave as it found it."""

"""Building a table: what it plans, one job, the journal, the file."""

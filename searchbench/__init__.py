"""searchbench: compare search strategies fairly."""

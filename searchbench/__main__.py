"""`python -m searchbench`."""

from searchbench.cli import main

main()

"""`python -m searchbench`."""

from searchbench.working_folder import search_last

search_last()  # before anything that imports modules by common names

from searchbench.cli import main  # noqa: E402

main()

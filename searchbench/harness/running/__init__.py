"""One run, in one process: its budget, its evaluations, its supernets, and the record that it leaves."""

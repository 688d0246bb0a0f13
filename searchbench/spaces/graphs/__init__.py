"""Cells and networks that are graphs: NAS-Bench-101, motifs of motifs, random wiring."""

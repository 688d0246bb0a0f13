"""Cells made of blocks: the spaces of NASNet and PNAS, and what ENAS's cells share with them."""

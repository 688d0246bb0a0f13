"""Finished results of anybody's runs as a study that can be ranked, compared and reported beside our own."""

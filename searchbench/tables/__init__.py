"""Tables of recorded results: described, read, looked up, imported, and (in `building`) made."""

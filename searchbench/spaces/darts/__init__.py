"""The DARTS space of convolutional cells, its reduced and enlarged forms, its networks and supernet."""

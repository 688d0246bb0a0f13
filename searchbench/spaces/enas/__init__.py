"""The convolutional spaces of ENAS, macro and micro."""

"""What spaces of layers share: blocks of convolutions, networks that are chains of choices, settings, notation."""

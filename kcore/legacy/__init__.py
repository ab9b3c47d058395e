"""Where Keras 2 kept what made Keras 1 code run: `layers` (found in `kcore.layers` too) and `interfaces`."""

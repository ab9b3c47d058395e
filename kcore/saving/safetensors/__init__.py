"""Weights in `safetensors` files: `container` (the published format, arrays by name) and `format` (layers' weights)."""

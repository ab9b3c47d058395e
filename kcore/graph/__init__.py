"""The graph: values and nodes, rewriting, gradients, emission, and K.function. Knows no layers and no backend's name."""

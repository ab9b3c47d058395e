"""The graph: values and nodes, rewriting, gradients, emission, K.function. Knows no layers and no backend's name."""

"""The NumPy backend: the ops' references as kernels, trained by the core's own gradient rules."""

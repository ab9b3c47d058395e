"""The HDF5 layout of Keras 2: `model` (whole models), `weights` (layers' groups), `conversion` (older orders)."""

"""Hand-written training loops, one module a framework: what a good practitioner would write without Keras.

A module here knows one framework and `benchmarks.models`; it never imports kcore or Keras.
"""

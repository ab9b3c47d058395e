"""The trainer: what `compile`, `fit`, `evaluate` and `predict` do, once, for every model and backend.

`plan` parses what `compile` was given, `steps` makes K.functions of it, `data` parses what `fit` was given, `loops` and
`generators` run the functions over it. Nothing here computes or knows a backend.
"""

"""Files of Keras 3: `.keras` (a zip of configuration and weights), `.weights.h5`, and `.weights.json` with its shards.

`archive` opens zips safely; `reading`, `nodes` and `writing` translate configurations, `training` what `compile` was
told, `optimizer` the optimizer's state; `store` knows where Keras 3 keeps which weight, `order` in which order it sees
layers, `weights` reads and writes them.
"""

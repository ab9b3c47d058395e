"""Speed of kcore against hand-written native loops and against Keras 3 (see README.md).

This room may import kcore, Keras 3 and the frameworks, each only inside the module that measures it;
nothing under `kcore/` may import this room.
"""

"""Write `keras2_architectures.json.gz`: what `model.to_json()` gives for each of `kinds`.

Run it with the Python that has Keras 2.3.1, whenever the kinds change:

    python3.7 tests/saving/keras2_architectures.py
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "keras2_architectures.json.gz")


def texts(keras):
    """The text of each kind that this package can build and describe."""
    import kinds

    found = {}
    for name, kind in sorted(kinds.KINDS.items()):
        if not kind.exists_in(kinds.package(keras)):
            continue
        keras.backend.clear_session()
        model = kind.build(keras)
        if not any(type(layer).__name__ == "Lambda" for layer in model.layers):  # byte code, by Keras 2.3.1
            found[name] = model.to_json()
    return found


def main():
    """Write the file."""
    sys.path.insert(0, HERE)
    import keras

    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(json.dumps(texts(keras)).encode("utf-8"))
    with open(FILE, "wb") as file:
        file.write(buffer.getvalue())


if __name__ == "__main__":
    main()

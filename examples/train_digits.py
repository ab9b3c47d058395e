"""Train the digits classifier on the backend that `KERAS_BACKEND` or `keras.json` names, and save it."""

from __future__ import annotations

import digits

import kcore as keras

if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    (x, y), test = digits.load()
    model = digits.convnet()
    model.summary()
    model.fit(x, y, batch_size=32, epochs=10, validation_data=test)
    model.save("digits.h5")

"""Variational autoencoder: digits pressed through two random numbers, and new digits made from such numbers.

A Lambda layer draws the code z = mean + exp(log_var / 2) * epsilon. Since the randomness is in epsilon alone
(reparametrisation), gradients reach the encoder through the mean and the variance. The loss is added to the model by
`add_loss`, as it depends on the encoder's results as well as on the picture.

    python examples/gradients/variational_autoencoder.py --epochs 50 --output pictures/
"""

from __future__ import annotations

import numpy as np
import pictures

import kcore as keras
from kcore import backend as K
from kcore.layers import Dense, Input, Lambda
from kcore.losses import binary_crossentropy
from kcore.models import Model

original_dim, intermediate_dim, latent_dim = 64, 64, 2


def sampling(args):
    """A code drawn from the normal distribution that the encoder answers with."""
    z_mean, z_log_var = args
    batch = K.shape(z_mean)[0]
    dim = K.int_shape(z_mean)[1]
    epsilon = K.random_normal(shape=(batch, dim))
    return z_mean + K.exp(0.5 * z_log_var) * epsilon


def autoencoder():
    """Build encoder, decoder and the model of both, compiled."""
    inputs = Input(shape=(original_dim,), name="encoder_input")
    x = Dense(intermediate_dim, activation="relu")(inputs)
    z_mean = Dense(latent_dim, name="z_mean")(x)
    z_log_var = Dense(latent_dim, name="z_log_var")(x)
    z = Lambda(sampling, output_shape=(latent_dim,), name="z")([z_mean, z_log_var])
    encoder = Model(inputs, [z_mean, z_log_var, z], name="encoder")

    latent_inputs = Input(shape=(latent_dim,), name="z_sampling")
    x = Dense(intermediate_dim, activation="relu")(latent_inputs)
    decoder = Model(latent_inputs, Dense(original_dim, activation="sigmoid")(x), name="decoder")

    outputs = decoder(encoder(inputs)[2])
    vae = Model(inputs, outputs, name="vae_mlp")
    reconstruction_loss = original_dim * binary_crossentropy(inputs, outputs)
    kl_loss = -0.5 * K.sum(1 + z_log_var - K.square(z_mean) - K.exp(z_log_var), axis=-1)
    vae.add_loss(K.mean(reconstruction_loss + kl_loss))
    vae.compile(optimizer=keras.optimizers.Adam(0.003))
    return vae, encoder, decoder


def digits_of_the_plane(decoder, count=12):
    """The decoder's digits at a grid of codes: one (count * 8, count * 8, 1) picture."""
    steps = np.linspace(-2, 2, count)
    codes = np.array([[a, b] for b in steps[::-1] for a in steps])
    return pictures.tiled(decoder.predict(codes).reshape(-1, 8, 8, 1), columns=count)


def run(epochs: int = 30, output: str | None = None) -> dict:
    keras.utils.set_random_seed(1)
    images, _ = pictures.digits()
    x = images.reshape(-1, original_dim)
    x_train, x_test = x[:1500], x[1500:]
    vae, encoder, decoder = autoencoder()
    history = vae.fit(x_train, epochs=epochs, batch_size=50, validation_data=(x_test, None), verbose=0).history

    z_mean, _, _ = encoder.predict(x_test)
    reconstructed = decoder.predict(z_mean)
    pictures.save(output, "digits_of_the_plane", digits_of_the_plane(decoder))
    pictures.save(output, "reconstructed", pictures.tiled(reconstructed[:20].reshape(-1, 8, 8, 1), columns=10))
    return {
        "loss": np.array(history["loss"]),
        "val_loss": np.array(history["val_loss"]),
        "error": float(np.mean((x_test - reconstructed) ** 2)),
        "error_of_mean_image": float(np.mean((x_test - x_train.mean(axis=0)) ** 2)),
        "codes": z_mean,
    }


def main() -> None:
    result = run(**pictures.arguments(__doc__, epochs=30))
    print("loss {0[0]:.2f} -> {0[1]:.2f}".format(result["loss"][[0, -1]]),
          "validation {0[0]:.2f} -> {0[1]:.2f}".format(result["val_loss"][[0, -1]]),
          "error {error:.4f}, of the mean image {error_of_mean_image:.4f}".format(**result), sep="; ")  # fmt: skip


if __name__ == "__main__":
    main()

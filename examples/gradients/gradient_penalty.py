"""Improved Wasserstein GAN: a critic whose gradients are held at norm 1, trained on handwritten digits.

The gradient penalty is a loss that contains `K.gradients`: training differentiates it once more (second order). The
critic sees real digits, generated ones, and random mixtures of the two; at the mixtures the norm of its gradient with
respect to its input is asked to be 1.

    python examples/gradients/gradient_penalty.py --epochs 200 --output pictures/
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pictures

import kcore as keras
from kcore import backend as K
from kcore.layers import Add, Conv2D, Dense, Flatten, Input, LeakyReLU, Reshape, UpSampling2D
from kcore.models import Model, Sequential
from kcore.optimizers import Adam

BATCH_SIZE = 50
CRITIC_STEPS = 4  # for each step of the generator
GRADIENT_PENALTY_WEIGHT = 10
NOISE = 16


def wasserstein_loss(y_true, y_pred):
    """Labels are 1 for real and -1 for generated: the critic raises the one's score and lowers the other's."""
    return -K.mean(y_true * y_pred)


def gradient_norm(y_pred, averaged_samples):
    """For each sample the norm of the critic's gradient with respect to its input."""
    gradients = K.gradients(y_pred, averaged_samples)[0]
    return K.sqrt(K.sum(K.square(gradients), axis=[1, 2, 3]) + K.epsilon())


def gradient_penalty_loss(y_true, y_pred, averaged_samples):
    return GRADIENT_PENALTY_WEIGHT * K.mean(K.square(1 - gradient_norm(y_pred, averaged_samples)))


class RandomWeightedAverage(Add):
    """A random point on the line between each pair of samples."""

    def _merge_function(self, inputs):
        weights = K.random_uniform((K.shape(inputs[0])[0], 1, 1, 1))
        return weights * inputs[0] + (1 - weights) * inputs[1]


def make_generator():
    return Sequential([
        Dense(2 * 2 * 32, activation="relu", input_dim=NOISE),
        Reshape((2, 2, 32)),
        UpSampling2D(),
        Conv2D(32, (3, 3), padding="same", activation="relu"),
        UpSampling2D(),
        Conv2D(1, (3, 3), padding="same", activation="sigmoid"),
    ])  # fmt: skip


def make_critic():
    return Sequential([
        Conv2D(16, (3, 3), padding="same", input_shape=(8, 8, 1)),
        LeakyReLU(0.2),
        Conv2D(32, (3, 3), padding="same", strides=(2, 2)),
        LeakyReLU(0.2),
        Flatten(),
        Dense(32),
        LeakyReLU(0.2),
        Dense(1),
    ])  # fmt: skip


def training_models(generator, critic):
    """Two models over the same two networks: each trains one of them and leaves the other alone."""
    critic.trainable = False
    noise = Input(shape=(NOISE,))
    generator_model = Model(noise, critic(generator(noise)))
    generator_model.compile(optimizer=Adam(1e-3, beta_1=0.5, beta_2=0.9), loss=wasserstein_loss)

    critic.trainable, generator.trainable = True, False
    real_samples = Input(shape=(8, 8, 1))
    generated_samples = generator(noise)
    averaged_samples = RandomWeightedAverage()([real_samples, generated_samples])
    averaged_output = critic(averaged_samples)
    critic_model = Model([real_samples, noise], [critic(real_samples), critic(generated_samples), averaged_output])
    penalty = partial(gradient_penalty_loss, averaged_samples=averaged_samples)
    penalty.__name__ = "gradient_penalty"
    critic_model.compile(
        optimizer=Adam(1e-3, beta_1=0.5, beta_2=0.9), loss=[wasserstein_loss, wasserstein_loss, penalty]
    )
    norms = K.function([real_samples, noise], [gradient_norm(averaged_output, averaged_samples)])
    return generator_model, critic_model, norms


def run(epochs: int = 20, output: str | None = None) -> dict:
    keras.utils.set_random_seed(1)
    x = pictures.digits()[0]
    rng = np.random.RandomState(0)
    generator, critic = make_generator(), make_critic()
    generator_model, critic_model, norms = training_models(generator, critic)

    ones = np.ones((BATCH_SIZE, 1), "float32")
    steps = len(x) // BATCH_SIZE // CRITIC_STEPS
    fixed_noise = rng.normal(size=(BATCH_SIZE, NOISE))
    first_norm = float(np.mean(norms([x[:BATCH_SIZE], fixed_noise])[0]))
    distances = []  # the critic's estimate of the distance between real and generated digits
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for batch in np.split(order[: steps * CRITIC_STEPS * BATCH_SIZE], steps * CRITIC_STEPS):
            noise = rng.normal(size=(BATCH_SIZE, NOISE))
            _, real_loss, fake_loss, _ = critic_model.train_on_batch([x[batch], noise], [ones, -ones, ones])
            distances.append(-(real_loss + fake_loss))
            if len(distances) % CRITIC_STEPS == 0:
                generator_model.train_on_batch(rng.normal(size=(BATCH_SIZE, NOISE)), ones)

    norm = norms([x[:BATCH_SIZE], fixed_noise])[0]
    pictures.save(output, "generated", pictures.tiled(generator.predict(fixed_noise), columns=10))
    return {"first_norm": first_norm, "norm": float(np.mean(norm)), "distances": np.array(distances)}


def main() -> None:
    result = run(**pictures.arguments(__doc__, epochs=20))
    distances = result["distances"]
    print(f"gradient norm {result['first_norm']:.3f} -> {result['norm']:.3f}; estimated distance: "
          f"largest {distances.max():.3f}, last {distances[-10:].mean():.3f}")  # fmt: skip


if __name__ == "__main__":
    main()

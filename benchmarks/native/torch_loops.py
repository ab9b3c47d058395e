"""Native PyTorch: `nn.Module`, `torch.optim.Adam`, the usual five-line training step."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.models import (
    BETA_1,
    BETA_2,
    BINARY,
    EPSILON,
    LEARNING_RATE,
    SIZES,
    ConvnetSizes,
    Data,
    LSTMSizes,
    MLPSizes,
    Workload,
    batches,
    native_tuned,
    shuffled_indices,
)
from benchmarks.runner import Runner


class MLP(nn.Sequential):
    """Relu layers and a linear output (logits)."""

    def __init__(self, sizes: MLPSizes, inputs: int, outputs: int) -> None:
        widths = (inputs, *sizes.hidden)
        hidden = [m for pair in itertools.pairwise(widths) for m in (nn.Linear(*pair), nn.ReLU())]
        super().__init__(*hidden, nn.Linear(widths[-1], outputs))


class Convnet(nn.Sequential):
    """The MNIST convnet on (batch, 1, 28, 28), to logits."""

    def __init__(self, sizes: ConvnetSizes, side: int, outputs: int) -> None:
        first, second = sizes.filters
        side = (side - 2 * (sizes.kernel - 1)) // sizes.pool
        super().__init__(
            nn.Conv2d(1, first, sizes.kernel),
            nn.ReLU(),
            nn.Conv2d(first, second, sizes.kernel),
            nn.ReLU(),
            nn.MaxPool2d(sizes.pool),
            nn.Dropout(sizes.dropout[0]),
            nn.Flatten(),
            nn.Linear(side * side * second, sizes.hidden),
            nn.ReLU(),
            nn.Dropout(sizes.dropout[1]),
            nn.Linear(sizes.hidden, outputs),
        )


class TextLSTM(nn.Module):
    """Embedding, `nn.LSTM`, and a linear layer on the last output, to logits."""

    def __init__(self, sizes: LSTMSizes, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.embedding)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        self.lstm = nn.LSTM(sizes.embedding, sizes.units, batch_first=True)
        self.head = nn.Linear(sizes.units, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (batch, outputs) of tokens (batch, length)."""
        sequence, _ = self.lstm(self.embedding(tokens))
        return self.head(sequence[:, -1])


def build(workload: Workload) -> nn.Module:
    """The workload's module."""
    sizes = SIZES[workload.name]
    if isinstance(sizes, MLPSizes):
        return MLP(sizes, workload.input_shape[0], workload.outputs)
    if isinstance(sizes, ConvnetSizes):
        return Convnet(sizes, workload.input_shape[0], workload.outputs)
    return TextLSTM(sizes, workload.outputs)


def native_layout(workload: Workload, data: Data) -> Data:
    """The data set as a PyTorch user stores it: images channels first, class labels int64."""
    x = np.ascontiguousarray(np.moveaxis(data.x, -1, 1)) if len(workload.input_shape) == 3 else data.x
    return Data(x, data.y if workload.loss == BINARY else data.y.astype(np.int64))


def count_parameters(model: nn.Module) -> int:
    """Trainable values, less the second bias that `nn.LSTM` keeps for cuDNN's sake."""
    return sum(p.numel() for name, p in model.named_parameters() if "bias_hh" not in name)


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    torch.manual_seed(0)
    data = native_layout(workload, data)
    model = build(workload).train()
    optimizer = torch.optim.Adam(
        model.parameters(),
        lr=LEARNING_RATE,
        betas=(BETA_1, BETA_2),
        eps=EPSILON,
        fused=native_tuned() or None,
    )
    binary = workload.loss == BINARY
    loss_function: Any = F.binary_cross_entropy_with_logits if binary else F.cross_entropy

    def train(x: Tensor, y: Tensor) -> Tensor:
        if not model.training:
            model.train()
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    host = batches(workload, data)
    host_batches = itertools.cycle(host)
    resident = itertools.cycle([(torch.from_numpy(x), torch.from_numpy(y)) for x, y in host])
    xs, ys = torch.from_numpy(data.x), torch.from_numpy(data.y)
    sample = data.x[:1]
    rng = np.random.default_rng(0)

    def train_on_batch() -> float:
        x, y = next(host_batches)
        return train(torch.from_numpy(x), torch.from_numpy(y)).item()

    def epoch() -> Tensor:
        total = torch.zeros(())
        for index in shuffled_indices(workload, rng):
            chosen = torch.from_numpy(index)
            total += train(xs[chosen], ys[chosen])
        return total / workload.epoch_batches

    @torch.inference_mode()
    def predict_one() -> np.ndarray:
        if model.training:
            model.eval()
        logits = model(torch.from_numpy(sample))
        return (logits.sigmoid() if binary else logits.softmax(-1)).numpy()

    def step() -> Tensor:
        return train(*next(resident))

    return Runner(count_parameters(model), step, train_on_batch, epoch, predict_one, _wait)


def _wait(value: Any) -> Any:
    """PyTorch works synchronously on a CPU; a loss becomes a float."""
    return value.item() if isinstance(value, Tensor) else value

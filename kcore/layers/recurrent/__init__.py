"""Recurrent layers: cells (one step), `RNN` (a cell over time), and the three well-known layers. As in Keras 2."""

from __future__ import annotations

from kcore.layers.recurrent.gru import GRU, GRUCell
from kcore.layers.recurrent.lstm import LSTM, LSTMCell
from kcore.layers.recurrent.rnn import RNN
from kcore.layers.recurrent.simple_rnn import SimpleRNN, SimpleRNNCell
from kcore.layers.recurrent.stacked import StackedRNNCells

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "SimpleRNN", "SimpleRNNCell", "StackedRNNCells"]

"""TensorBoard's files, read by the tensorboard package itself."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))  # the package then loads no framework

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub.io.gfile import GFile  # noqa: F401 - shows that the stub is in use
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New, masked_crc32c
from tensorboard.plugins.projector import projector_config_pb2
from tensorboard.util import tensor_util  # noqa: F401

from kcore import backend as K
from kcore.callbacks import TensorBoard
from kcore.callbacks.event_file import Histogram, crc32c, record, single, varint
from kcore.errors import ArgumentError
from kcore.layers import Dense, Embedding, Flatten, Input, LSTM, add
from kcore.models import Model, Sequential
from kcore.utils.png import encode_png

"""Callbacks: what is called while a model trains, evaluates or predicts."""

from __future__ import annotations

from kcore.callbacks.backup import BackupAndRestore
from kcore.callbacks.base import Callback, CallbackList
from kcore.callbacks.control import (
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from kcore.callbacks.line import LineLogger
from kcore.callbacks.reporting import BaseLogger, CSVLogger, History, ProgbarLogger, RemoteMonitor
from kcore.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore", "BaseLogger", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History",
    "LambdaCallback", "LearningRateScheduler", "LineLogger", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau",
    "RemoteMonitor", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip

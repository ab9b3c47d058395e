"""Convolutional layers, and those that resize the spatial axes: one room a kind, all names here as in Keras 2."""

from __future__ import annotations

from typing import Any

from kcore.layers.convolutional.conv import Conv1D, Conv2D, Conv3D, _Conv
from kcore.layers.convolutional.resizing import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from kcore.layers.convolutional.separable import DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from kcore.layers.convolutional.transposed import Conv2DTranspose, Conv3DTranspose
from kcore.layers.keras1 import atrous


def AtrousConvolution1D(*args: Any, **kwargs: Any) -> Any:
    """Conv1D with `atrous_rate` for `dilation_rate`, as in Keras 1."""
    return atrous(Conv1D, *args, **kwargs)


def AtrousConvolution2D(*args: Any, **kwargs: Any) -> Any:
    """Conv2D with `atrous_rate` for `dilation_rate`, as in Keras 1."""
    return atrous(Conv2D, *args, **kwargs)


AtrousConv1D, AtrousConv2D = AtrousConvolution1D, AtrousConvolution2D
Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
Convolution2DTranspose = Deconvolution2D = Deconv2D = Conv2DTranspose
Deconvolution3D = Deconv3D = Conv3DTranspose

__all__ = [
    "AtrousConv1D", "AtrousConv2D", "AtrousConvolution1D", "AtrousConvolution2D", "Conv1D", "Conv2D",
    "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "Convolution1D", "Convolution2D", "Convolution2DTranspose",
    "Convolution3D", "Cropping1D", "Cropping2D", "Cropping3D", "Deconv2D", "Deconv3D", "Deconvolution2D",
    "Deconvolution3D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D",
    "SeparableConvolution2D", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D", "_Conv",
]  # fmt: skip

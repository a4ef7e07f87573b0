"""Heads of segmentation that torchvision does not have, in mmsegmentation's form and with its names."""
import torch
from torch import nn


class Unit(nn.Module):
    """A 3x3 convolution with batchnorm and ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()

    def forward(self, value):
        return self.relu(self.bn(self.conv(value)))


class JoinedHead(nn.Module):
    """Several convolutions, their result joined with the map that they see, and convolved once more."""

    def __init__(self, inputs, channels, convolutions, classes):
        super().__init__()
        self.convs = nn.Sequential(*[Unit(inputs if at == 0 else channels, channels) for at in range(convolutions)])
        self.conv_cat = Unit(inputs + channels, channels)
        self.conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(self, value):
        return self.conv_seg(self.conv_cat(torch.cat([value, self.convs(value)], 1)))

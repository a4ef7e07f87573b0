"""torchvision's ResNet-50 with other widths and depths, which the narrow models of dense tasks stand on."""
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet


class NarrowResNet(ResNet):
    """Its own layers, strides and dilations; `widths` are those of the 3x3 convolutions."""

    def __init__(self, stem, widths, depths, strides, dilated=(False, False, False), norm_layer=nn.BatchNorm2d):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = norm_layer, stem, 1, 1, 64
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1 = norm_layer(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, (width, depth, stride) in enumerate(zip(widths, depths, strides)):
            layer = self._make_layer(Bottleneck, width, depth, stride, stage > 0 and dilated[stage - 1])
            setattr(self, f"layer{stage + 1}", layer)

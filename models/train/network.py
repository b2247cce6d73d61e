"""The trained networks and their export to ONNX."""

from pathlib import Path

import numpy
import torch
from torch import nn
from torch.nn import functional as F


def cubic(x, a=-0.5):
    """Keys' cubic convolution kernel (Keys 1981, eq. 15), as in Pillow's BICUBIC."""
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if x < 2:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0


class Builtin(nn.Module):
    """Luma, 2x: N x 1 x H x W to N x 1 x 2H x 2W, H and W even, Y' in 0..1.

    All layers run at half size, where a channel costs a quarter: a 6x6 convolution with stride 2
    equals a pixel unshuffle by 2 and a 3x3 convolution, and a pixel shuffle by 4 gives the output.
    A parallel linear convolution is initialised as bicubic interpolation, so that the network
    learns only the difference. Unlike a resize node it gives regions the same samples, to the
    bit, as the whole frame.
    """

    def __init__(self, width=48, body=3):
        super().__init__()
        self.head = nn.Conv2d(1, width, 6, stride=2, padding=2)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(body))
        self.tail = nn.Conv2d(width, 16, 3, padding=1)
        self.linear = nn.Conv2d(1, 16, 6, stride=2, padding=2, bias=False)
        with torch.no_grad():
            nn.init.zeros_(self.tail.bias)
            self.tail.weight.mul_(0.1)
            for row in range(4):
                for column in range(4):
                    # The position of output (row, column) of a 4 x 4 cell within its 6 x 6 inputs.
                    y, x = (i / 2 - 0.25 + 2 for i in (row, column))
                    for i in range(6):
                        for j in range(6):
                            self.linear.weight[row * 4 + column, 0, i, j] = cubic(i - y) * cubic(j - x)

    def forward(self, x):
        y = F.relu(self.head(x))
        for conv in self.body:
            y = F.relu(conv(y))
        return F.pixel_shuffle(self.tail(y) + self.linear(x), 4)


class Compact(nn.Module):
    """SRVGGNetCompact (Real-ESRGAN): R'G'B', N x 3 x H x W to N x 3 x fH x fW, 0..1.

    Convolutions with PReLU at the input's size, a pixel shuffle, and a nearest-neighbour skip
    connection. Weight names are the official ones.
    """

    def __init__(self, features=64, convolutions=16, factor=4):
        super().__init__()
        self.factor = factor
        sides = [3] + [features] * (convolutions + 1)
        layers = []
        for inputs, outputs in zip(sides, sides[1:]):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.PReLU(outputs)]
        self.body = nn.ModuleList([*layers, nn.Conv2d(features, 3 * factor**2, 3, padding=1)])
        for layer in layers[::2]:
            # He et al. 2015, eq. 15, for the slope that PReLU starts with.
            nn.init.kaiming_normal_(layer.weight, a=0.25)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.body[-1].weight.mul_(0.1)

    @classmethod
    def of(cls, weights, factor):
        """The network with these `weights` (official name to tensor)."""
        convolutions = sum(value.dim() == 4 for value in weights.values()) - 2
        network = cls(weights["body.0.weight"].shape[0], convolutions, factor)
        network.load_state_dict(weights)
        return network

    def deepened(self):
        """A network with twice the inner convolutions and the same output: after each convolution, an
        identity is inserted (Chen et al. 2016, Net2Net)."""
        first, inner, last = self.body[:2], self.body[2:-1], self.body[-1]
        features = last.in_channels
        deep = Compact(features, len(inner), self.factor)
        layers = [*first]
        for convolution, activation in zip(inner[::2], inner[1::2]):
            same = nn.Conv2d(features, features, 3, padding=1)
            nn.init.dirac_(same.weight)
            nn.init.zeros_(same.bias)
            layers += [convolution, activation, same, nn.PReLU(features, init=1.0)]
        deep.load_state_dict({f"body.{index}.{name}": value for index, layer in enumerate([*layers, last])
                              for name, value in layer.state_dict().items()})
        return deep

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.factor) + F.interpolate(x, scale_factor=self.factor)


def export(model, path, notes):
    """Writes `model` as ONNX (opset 17) with dynamic batch, height and width."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(value, name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def parameter(name, value):
        return constant(name, value.detach().float().numpy())

    def conv(name, module, source):
        kinds = [kind for kind in ("weight", "bias") if getattr(module, kind) is not None]
        inputs = [source, *(parameter(f"{name}.{kind}", getattr(module, kind)) for kind in kinds)]
        return node("Conv", inputs, name, kernel_shape=module.kernel_size,
                    strides=module.stride, pads=list(module.padding) * 2)

    if isinstance(model, Compact):
        source, planes, factor = "input", 3, model.factor
        for index, module in enumerate(model.body):
            if isinstance(module, nn.PReLU):
                # One slope per channel, broadcast over height and width.
                slope = module.weight.detach().float().numpy().reshape(-1, 1, 1)
                source = node("PRelu", [source, constant(f"body.{index}.weight", slope)], f"prelu{index}")
            else:
                source = conv(f"body.{index}", module, source)
        detail = node("DepthToSpace", [source], "detail", blocksize=factor, mode="CRD")
        scales = constant("scales", numpy.float32([1, 1, factor, factor]))
        base = node("Resize", ["input", "", scales], "base", mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        node("Add", [detail, base], "output")
    else:
        source, planes, factor = "input", 1, 2
        for index, module in enumerate([model.head, *model.body]):
            source = node("Relu", [conv(f"conv{index}", module, source)], f"relu{index}")
        cells = node("Add", [conv("tail", model.tail, source), conv("linear", model.linear, "input")], "cells")
        node("DepthToSpace", [cells], "output", blocksize=4, mode="CRD")
    graph = helper.make_graph(
        nodes, Path(path).stem,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", planes, "H", "W"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", planes, f"{factor}H", f"{factor}W"])],
        weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, notes)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)

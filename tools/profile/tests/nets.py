"""Networks written once, over a builder of layers: of an ONNX graph (`peer_profile.py`), or of PyTorch (`reference/fvcore_macs.py`).

A builder has `conv`, `transposed`, `linear`, `matmul`, `heads`, `merge`, `transpose`, `relu`, `softmax`, `add`, `max_pool` and
`average`, which take a value and return one. Channels are NCHW.
"""


def residual(b, x, inputs, outputs, stride):
    """A basic block of He et al. (2015), with a projection where the shape changes."""
    y = b.relu(b.conv(x, inputs, outputs, 3, stride=stride, padding=1))
    y = b.conv(y, outputs, outputs, 3, padding=1)
    if stride != 1 or inputs != outputs:
        x = b.conv(x, inputs, outputs, 1, stride=stride)
    return b.relu(b.add(y, x))


def residuals(b, x, inputs, stages, blocks):
    for index, channels in enumerate(stages):
        for block in range(blocks):
            x = residual(b, x, inputs, channels, 2 if index > 0 and block == 0 else 1)
            inputs = channels
    return b.linear(b.average(x), inputs, b.classes)


def resnet18(b, x):
    """ResNet-18 for ImageNet: a 7 × 7 stem with stride 2, and pooling."""
    x = b.max_pool(b.relu(b.conv(x, 3, 64, 7, stride=2, padding=3)), 3, stride=2, padding=1)
    return residuals(b, x, 64, [64, 128, 256, 512], 2)


def resnet18_small(b, x):
    """configs/model/resnet18.yaml: a 3 × 3 stem, no pooling."""
    return residuals(b, b.relu(b.conv(x, 3, 64, 3, padding=1)), 64, [64, 128, 256, 512], 2)


def mobile(b, x):
    """A depthwise and a pointwise convolution, and a transposed one."""
    x = b.relu(b.conv(x, 3, 16, 3, stride=2, padding=1))
    x = b.relu(b.conv(x, 16, 16, 3, padding=1, groups=16))
    x = b.conv(x, 16, 32, 1)
    return b.transposed(x, 32, 8, 2, stride=2)


def mlp(b, x):
    for inputs, outputs in [(784, 512), (512, 512), (512, 10)]:
        x = b.linear(x, inputs, outputs)
    return x


def attention(b, x):
    """Self-attention of 4 heads over 16 positions of 64, with the linear layers around it."""
    q, k, v = (b.heads(b.linear(x, 64, 64), 16, 4, 16) for _ in range(3))
    scores = b.softmax(b.matmul(q, b.transpose(k)))
    x = b.add(x, b.linear(b.merge(b.matmul(scores, v), 16, 64), 64, 64))
    return b.add(x, b.linear(b.relu(b.linear(x, 64, 256)), 256, 64))


# The function, the shape of one input, and the classes.
NETS = {
    "resnet18-224": (resnet18, [3, 224, 224], 1000),
    "resnet18-32": (resnet18_small, [3, 32, 32], 10),
    "mobile": (mobile, [3, 64, 64], 0),
    "mlp": (mlp, [784], 10),
    "attention": (attention, [16, 64], 0),
}

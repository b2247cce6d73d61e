"""Write ncnn_layers.toml: the output of ncnn for small networks, one for each layer.

Needs `pip install ncnn numpy`; the numbers in the repository are from ncnn 1.0.20261020.
Each network has the input "in0" of 3×12×16 samples and the output "out0"; the tested layers are
between a first and a last 1×1 convolution. Weights and samples are pattern(n, start), as in
tests/model/ncnn.rs; start increases from layer to layer.
"""

import pathlib
import tempfile

import ncnn
import numpy as np


def pattern(count, start=0):
    steps = (np.arange(start, start + count, dtype=np.int64) * 7919 + 13) % 1000
    return (steps.astype(np.float32) / np.float32(1000) - np.float32(0.5)).astype("<f4")


def weights(spec):
    """h576: 576 fp16 values after a tag; f: fp32 after a tag; p: fp32 without a tag."""
    data, start = b"", 0
    for part in spec.split():
        values = pattern(int(part[1:]), start)
        start += int(part[1:])
        if part[0] == "h":
            half = values.astype("<f2").tobytes()
            data += bytes.fromhex("476b3001") + half + b"\0" * (-len(half) % 4)
        else:
            data += (b"\0" * 4 if part[0] == "f" else b"") + values.tobytes()
    return data


def run(param, spec, margin=0):
    net = ncnn.Net()
    for name in ("fp16_storage", "fp16_packed", "fp16_arithmetic", "bf16_storage",
                 "winograd_convolution", "packing_layout"):
        setattr(net.opt, "use_" + name, False)
    with tempfile.TemporaryDirectory() as folder:
        text, binary = pathlib.Path(folder, "n.param"), pathlib.Path(folder, "n.bin")
        text.write_text(param)
        binary.write_bytes(weights(spec))
        assert net.load_param(str(text)) == 0 and net.load_model(str(binary)) == 0
    extractor = net.create_extractor()
    samples = pattern(3 * 12 * 16).reshape(3, 12, 16)
    samples = np.pad(samples, ((0, 0), (margin, margin), (margin, margin)), "edge")
    extractor.input("in0", ncnn.Mat(np.ascontiguousarray(samples)))
    result, out = extractor.extract("out0")
    assert result == 0, param
    return np.array(out).copy()


FIRST = "Convolution first 1 1 in0 a 0=8 1=1 5=1 6=24"
# Name, layers from blob a to blob z, their weights, channels of z.
CASES = [
    ("fp16 kernel, leaky ReLU", ["Convolution c 1 1 a z 0=8 1=3 4=1 5=1 6=576 9=2 -23310=1,2.0e-01"], "h576 p8", 8),
    ("1x3 dilated kernel, clip", ["Convolution c 1 1 a z 0=8 1=3 11=1 2=2 12=1 4=2 14=0 6=192 9=3 -23310=2,-0.1,0.2"], "f192", 8),
    ("uneven pads, sigmoid", ["Convolution c 1 1 a z 0=8 1=3 4=0 15=2 14=2 16=0 6=576 9=4"], "f576", 8),
    ("SAME_UPPER padding", ["Convolution c 1 1 a z 0=8 1=4 4=-233 6=1024"], "f1024", 8),
    ("SAME_LOWER padding", ["Convolution c 1 1 a z 0=8 1=4 4=-234 6=1024"], "f1024", 8),
    ("depthwise, ReLU", ["ConvolutionDepthWise c 1 1 a z 0=8 1=3 4=1 5=1 6=72 7=8 9=1"], "f72 p8", 8),
    ("groups", ["ConvolutionDepthWise c 1 1 a z 0=8 1=3 4=1 5=1 6=144 7=4"], "f144 p8", 8),
    ("stride 2, deconvolution", ["Convolution c 1 1 a b 0=6 1=2 3=2 5=1 6=192", "Deconvolution d 1 1 b z 0=8 1=4 3=2 4=1 5=1 6=768 9=2 -23310=1,0.2"], "f192 p6 f768 p8", 8),
    ("deconvolution, output padding", ["Convolution c 1 1 a b 0=6 1=2 3=2 6=192", "Deconvolution d 1 1 b z 0=8 1=3 3=2 4=1 18=1 5=1 6=432"], "f192 f432 p8", 8),
    ("depthwise deconvolution", ["Convolution c 1 1 a b 0=8 1=2 3=2 6=256", "DeconvolutionDepthWise d 1 1 b z 0=8 1=4 3=2 4=1 5=1 6=128 7=8"], "f256 f128 p8", 8),
    ("deconvolution in groups", ["Convolution c 1 1 a b 0=8 1=2 3=2 6=256", "DeconvolutionDepthWise d 1 1 b z 0=8 1=4 3=2 4=1 6=512 7=2"], "f256 f512", 8),
    ("PReLU by channel", ["PReLU p 1 1 a z 0=8"], "p8", 8),
    ("PReLU of one slope", ["PReLU p 1 1 a z 0=1"], "p1", 8),
    ("ReLU", ["ReLU r 1 1 a z"], "", 8),
    ("ReLU with slope", ["ReLU r 1 1 a z 0=0.2"], "", 8),
    ("Clip", ["Clip c 1 1 a z 0=-0.1 1=0.3"], "", 8),
    ("Sigmoid", ["Sigmoid s 1 1 a z"], "", 8),
    ("TanH", ["TanH t 1 1 a z"], "", 8),
    ("AbsVal", ["AbsVal t 1 1 a z"], "", 8),
    ("ELU", ["ELU e 1 1 a z 0=0.5"], "", 8),
    ("HardSigmoid", ["HardSigmoid h 1 1 a z 0=0.3 1=0.4"], "", 8),
    ("HardSwish", ["HardSwish h 1 1 a z 0=0.3 1=0.4"], "", 8),
    ("GELU", ["GELU g 1 1 a z"], "", 8),
    ("GELU, fast", ["GELU g 1 1 a z 0=1"], "", 8),
    ("Swish", ["Swish s 1 1 a z"], "", 8),
    ("Dropout", ["Dropout d 1 1 a b", "Noop n 1 1 b c", "Dropout e 1 1 c z 0=0.5"], "", 8),
    *[(f"UnaryOp {op}", [f"UnaryOp u 1 1 a z 0={op}"], "", 8) for op in (0, 1, 4, 7, 16)],
    *[(f"UnaryOp {op}", ["Clip c 1 1 a p 0=0.1 1=3", f"UnaryOp u 1 1 p z 0={op}"], "", 8) for op in (5, 8, 15)],
    *[(f"BinaryOp {op} with a number", ["Clip c 1 1 a p 0=0.1 1=3", f"BinaryOp b 1 1 p z 0={op} 1=1 2=0.7"], "", 8) for op in range(10)],
    *[(f"BinaryOp {op} of two", ["Clip c 1 1 a p 0=0.1 1=3", "Split s 1 2 p q r", "Sigmoid g 1 1 r t", f"BinaryOp b 2 1 q t z 0={op}"], "", 8) for op in range(10)],
    ("Eltwise product", ["Split s 1 2 a p q", "Sigmoid g 1 1 p r", "Eltwise e 2 1 q r z 0=0"], "", 8),
    ("Eltwise maximum of three", ["Split s 1 3 a p q t", "Sigmoid g 1 1 p r", "TanH h 1 1 t u", "Eltwise e 3 1 q r u z 0=2"], "", 8),
    ("Eltwise sum with coefficients", ["Split s 1 2 a p q", "Sigmoid g 1 1 p r", "Eltwise e 2 1 q r z 0=1 -23301=2,2.0e-01,1.0"], "", 8),
    ("Concat", ["Split s 1 2 a p q", "Sigmoid g 1 1 p r", "Concat c 2 1 q r z 0=0"], "", 16),
    ("Slice", ["Slice s 1 2 a p z -23300=2,5,-233"], "", 3),
    ("attention: pooling, inner products, product", ["Split s 1 2 a p q", "Pooling g 1 1 p r 0=1 4=1", "InnerProduct i 1 1 r t 0=4 1=1 2=32 9=1", "InnerProduct k 1 1 t u 0=8 1=1 2=32 9=4", "BinaryOp b 2 1 q u z 0=2"], "h32 p4 f32 p8", 8),
    ("attention: maximum, Scale by a vector", ["Split s 1 2 a p q", "Pooling g 1 1 p r 0=0 4=1", "InnerProduct i 1 1 r t 0=8 2=64 9=4", "Scale b 2 1 q t z 0=-233"], "f64", 8),
    ("attention: adaptive pooling, convolution", ["Split s 1 2 a p q", "Pooling g 1 1 p r 0=1 7=1 8=1", "Convolution i 1 1 r t 0=8 1=1 5=1 6=64 9=4", "BinaryOp b 2 1 t q z 0=2"], "f64 p8", 8),
    ("Reduction to means", ["Split s 1 2 a p q", "Reduction g 1 1 p r 0=3 1=0 -23303=2,1,2 4=1 5=1", "BinaryOp b 2 1 q r z 0=1"], "", 8),
    ("MemoryData vector", ["MemoryData m 0 1 m 0=8", "BinaryOp b 2 1 a m z 0=2"], "p8", 8),
    ("MemoryData of three dimensions", ["MemoryData m 0 1 m 0=1 1=1 2=8", "BinaryOp b 2 1 a m z 0=0"], "p8", 8),
    ("Scale", ["Scale b 1 1 a z 0=8 1=1"], "p8 p8", 8),
    ("Bias", ["Bias b 1 1 a z 0=8"], "p8", 8),
    # pattern's start is 17 at the variances: above 0 by eps.
    ("BatchNorm", ["BatchNorm b 1 1 a z 0=8 1=1.0"], "p8 p8 p8 p8", 8),
    ("Crop by margins, Padding replicated", ["Crop c 1 1 a b 0=1 1=2 2=1 3=-233 4=-233 5=-233 6=2 7=1", "Padding d 1 1 b z 0=2 1=1 2=1 3=2 4=1"], "", 7),
    ("Crop channels", ["Crop c 1 1 a z 2=1 5=4 3=-233 4=-233"], "", 4),
    ("Crop by ranges, Padding reflected", ["Crop c 1 1 a b -23309=3,1,2,1 -23310=3,-1,-2,-233 -23311=3,0,1,2", "Padding d 1 1 b z 0=3 1=1 2=1 3=0 4=2"], "", 6),
    ("Crop by ranges, Padding with 0", ["Crop c 1 1 a b -23309=2,1,2 -23310=2,-1,-2 -23311=2,-2,-1", "Padding d 1 1 b z 0=1 1=1 2=2 3=2"], "", 8),
    ("Crop to another's size", ["Split s 1 2 a p q", "Convolution c 1 1 p r 0=8 1=3 6=576", "Split s2 1 2 r t u", "Crop c 2 1 q t v 0=1 1=1", "BinaryOp b 2 1 v u w", "Padding d 1 1 w z 0=1 1=1 2=1 3=1 4=1"], "f576", 8),
    ("Pooling maximum, Interp", ["Pooling p 1 1 a b 0=0 1=2 2=2", "Interp i 1 1 b z 0=1 1=2.0 2=2.0"], "", 8),
    ("Pooling mean, Interp", ["Pooling p 1 1 a b 0=1 1=2 2=2 5=1", "Interp i 1 1 b z 0=2 1=2.0 2=2.0"], "", 8),
    ("Pooling mean, padded", ["Pooling p 1 1 a z 0=1 1=3 2=1 3=1 5=1"], "", 8),
    ("Pooling mean, zeros counted", ["Pooling p 1 1 a z 0=1 1=3 2=1 3=1 5=1 6=1"], "", 8),
    ("Pooling maximum, padded, full", ["Pooling p 1 1 a z 0=0 1=3 2=1 3=1"], "", 8),
    *[(f"Interp type {kind} by {scale}", [f"Interp i 1 1 a z 0={kind} 1={scale} 2={scale}"], "", 8) for kind in (1, 2, 3) for scale in ("2.0", "3.0", "4.0")],
    ("Interp type 2, corners aligned", ["Interp i 1 1 a z 0=2 1=2.0 2=2.0 6=1"], "", 8),
    ("Interp type 3, corners aligned", ["Interp i 1 1 a z 0=3 1=2.0 2=2.0 6=1"], "", 8),
    ("Interp up 4, half by bicubic", ["Interp i 1 1 a b 0=1 1=4.0 2=4.0", "Interp j 1 1 b z 0=3 1=5.0e-01 2=5.0e-01"], "", 8),
    ("Interp up 4, three quarters by bicubic", ["Interp i 1 1 a b 0=1 1=4.0 2=4.0", "Interp j 1 1 b z 0=3 1=7.5e-01 2=7.5e-01"], "", 8),
    ("Interp up 4, half by bilinear", ["Interp i 1 1 a b 0=1 1=4.0 2=4.0", "Interp j 1 1 b z 0=2 1=5.0e-01 2=5.0e-01"], "", 8),
    ("PixelShuffle", ["PixelShuffle s 1 1 a z 0=2"], "", 2),
    ("PixelShuffle, channels last", ["PixelShuffle s 1 1 a z 0=2 1=1"], "", 2),
    ("Reorg", ["Reorg s 1 1 a b 0=2", "PixelShuffle p 1 1 b z 0=2 1=1"], "", 8),
    ("Reorg, channels last", ["Reorg s 1 1 a b 0=2 1=1", "PixelShuffle p 1 1 b z 0=2"], "", 8),
]

# Networks whose output lacks a margin, which applications add: name, layers, weights, margin, and
# whether the enlarged input is added to the output.
CROPPING = [
    ("convolutions without pads", ["Convolution c 1 1 in0 a 0=8 1=3 5=1 6=216 9=2 -23310=1,0.1", "Convolution d 1 1 a b 0=8 1=3 6=576", "Deconvolution e 1 1 b out0 0=3 1=4 3=2 4=3 5=1 6=384"], "f216 p8 f576 f384 p3", 3, False),
    ("U-Net with two levels", ["Convolution c 1 1 in0 a 0=8 1=3 5=1 6=216", "Split s 1 2 a p q", "Convolution d 1 1 q b 0=8 1=2 3=2 6=256", "Convolution e 1 1 b c 0=8 1=3 6=576", "Deconvolution f 1 1 c d 0=8 1=2 3=2 6=256", "Split t 1 2 d r u", "Crop g 2 1 p r v 0=2 1=2", "Eltwise h 2 1 v u w 0=1", "Convolution i 1 1 w x 0=8 1=3 6=576", "Deconvolution j 1 1 x out0 0=3 1=4 3=2 4=3 6=384"], "f216 p8 f256 f576 f256 f576 f384", 5, False),
    ("Real-CUGAN x4", ["Convolution c 1 1 in0 a 0=12 1=3 5=1 6=324", "Crop d 1 1 a b -23309=2,-1,-1 -23310=2,1,1 -23311=2,-2,-1", "PixelShuffle e 1 1 b out0 0=2"], "f324 p12", 2, True),
]


def case(name, lines, spec, margin=0, add_input=False):
    blobs = 1 + sum(int(line.split()[3]) for line in lines)
    param = "\n".join(["7767517", f"{len(lines) + 1} {blobs}", "Input in 0 1 in0", *lines, ""])
    # Real-CUGAN's published export has wrong signs in one crop, which ncnn rejects.
    param = param.replace("-23309=2,-1,-1 -23310=2,1,1", "-23309=2,1,1 -23310=2,-1,-1")
    y = run(param, spec, margin).astype(np.float64)
    if add_input:
        y += pattern(3 * 12 * 16).reshape(3, 12, 16).repeat(2, 1).repeat(2, 2)
    factors = (np.arange(y.size) * 31 % 97 / 97).reshape(y.shape)
    return (f'[[case]]\nname = "{name}"\nlayers = """\n' + "\n".join(lines) + '"""\n'
            f'weights = "{spec}"\nshape = {list(y.shape)}\n'
            f"sum = {np.abs(y).sum():.6f}\nweighted = {(y * factors).sum():.6f}\n")


out = ["# Written by ncnn_layers.py with ncnn 1.0.20261020.\n"]
for name, lines, spec, channels in CASES:
    lines = [FIRST, *lines, f"Convolution last 1 1 z out0 0=3 1=1 5=1 6={3 * channels}"]
    out.append(case(name, lines, f"f24 p8 {spec} f{3 * channels} p3".replace("  ", " ")))
out += [case(*net) for net in CROPPING]
pathlib.Path(__file__).with_suffix(".toml").write_text("\n".join(out))

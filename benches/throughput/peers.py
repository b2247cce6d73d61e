"""Runs a model in another runtime, in turns that the benchmark requests.

    peers.py RUNTIME PRECISION MODEL THREADS WIDTH HEIGHT

Standard input starts with a line with the number of frames, followed by their bytes: R'G'B' with 8
bits per sample. The answer is a line "ready" or an error message. After that, each input line is a
number of frames to run, and each output line the time that they took in nanoseconds: inference
only, on pictures that were converted to floats before.
"""

import importlib
import sys
import time

import numpy as np


def ncnn(precision, model, threads, pictures):
    ncnn = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = threads
    net.opt.use_bf16_storage = precision == "bf16"
    net.load_param(model)
    net.load_model(model.removesuffix("param") + "bin")
    pictures = [ncnn.Mat(picture[0]).clone() for picture in pictures]

    def run(number):
        extractor = net.create_extractor()
        extractor.input("data", pictures[number])
        status, _ = extractor.extract("output")
        assert status == 0, status

    return len(pictures), run


def openvino(precision, model, threads, pictures):
    ov = importlib.import_module("openvino")
    core = ov.Core()
    network = core.read_model(model)
    network.reshape(list(pictures[0].shape))
    options = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(network, "CPU", options).create_infer_request()
    tensors = [ov.Tensor(picture) for picture in pictures]

    def run(number):
        request.set_input_tensor(tensors[number])
        request.infer()

    return len(tensors), run


def pytorch(precision, model, threads, pictures):
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    weights = torch.load(model, map_location="cpu", weights_only=True)
    weights = weights.get("params_ema", weights.get("params", weights))
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    layout = torch.contiguous_format if precision == "fp32" else torch.channels_last
    weights = {name: tensor.to(kind) for name, tensor in weights.items()}
    weights = {
        name: tensor.to(memory_format=layout) if tensor.dim() == 4 else tensor
        for name, tensor in weights.items()
    }
    last = max(int(name.split(".")[1]) for name in weights)
    pictures = [torch.from_numpy(picture).to(kind, memory_format=layout) for picture in pictures]

    # SRVGGNetCompact: convolutions with a PReLU after each but the last.
    def run(number):
        with torch.inference_mode():
            value = picture = pictures[number]
            for layer in range(0, last + 1, 2):
                weight, bias = weights[f"body.{layer}.weight"], weights[f"body.{layer}.bias"]
                value = torch.nn.functional.conv2d(value, weight, bias, padding=1)
                if layer < last:
                    value = torch.nn.functional.prelu(value, weights[f"body.{layer + 1}.weight"])
            factor = round((value.shape[1] // picture.shape[1]) ** 0.5)
            value = torch.nn.functional.pixel_shuffle(value, factor)
            value += torch.nn.functional.interpolate(picture, scale_factor=factor, mode="nearest")

    return len(pictures), run


def main():
    runtime, precision, model, threads, width, height = sys.argv[1:]
    width, height = int(width), int(height)
    count = int(sys.stdin.buffer.readline())
    pictures = []
    for _ in range(count):
        data = np.frombuffer(sys.stdin.buffer.read(width * height * 3), np.uint8)
        picture = data.reshape(1, height, width, 3).transpose(0, 3, 1, 2)
        pictures.append(np.ascontiguousarray(picture, np.float32) / np.float32(255))
    # Libraries may write to standard output, which is for the answers only.
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        build = {"ncnn": ncnn, "openvino": openvino, "pytorch": pytorch}[runtime]
        count, run = build(precision, model, int(threads), pictures)
        run(0)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=answers, flush=True)
        return
    print("ready", file=answers, flush=True)
    number = 0
    for line in sys.stdin.buffer:
        start = time.perf_counter_ns()
        for _ in range(int(line)):
            run(number % count)
            number += 1
        print(time.perf_counter_ns() - start, file=answers, flush=True)


main()

"""Runs a model in another runtime, in turns that the benchmark requests.

    peers.py RUNTIME PRECISION MODEL CHANNELS THREADS CLOCK WIDTH HEIGHT

RUNTIME is ncnn, openvino, vs-mlrt-ort or vs-mlrt-ov, CLOCK is wall or processor. Standard input
starts with a line with the number of frames, followed by their bytes: R'G'B' with 8 bits per
sample, of which the model is given the first CHANNELS. The answer is a line "ready" or an error
message. After that, each input line is a number of frames to run, and each output line the time
that they took in nanoseconds: inference only, on pictures that were converted to floats before.
"""

import importlib
import os
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
    (given,), (result,) = net.input_names(), net.output_names()
    pictures = [ncnn.Mat(picture[0]).clone() for picture in pictures]

    def run(number):
        extractor = net.create_extractor()
        extractor.input(given, pictures[number % len(pictures)])
        status, _ = extractor.extract(result)
        assert status == 0, status

    return run


def openvino_options(precision, threads):
    return {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }


def openvino(precision, model, threads, pictures):
    ov = importlib.import_module("openvino")
    core = ov.Core()
    network = core.read_model(model)
    network.reshape(list(pictures[0].shape))
    options = openvino_options(precision, threads)
    request = core.compile_model(network, "CPU", options).create_infer_request()
    tensors = [ov.Tensor(picture) for picture in pictures]

    def run(number):
        request.set_input_tensor(tensors[number % len(tensors)])
        request.infer()

    return run


def vs_mlrt(plugin, options, model, threads, pictures):
    # Its ONNX Runtime starts a thread for each processor that it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    vs = importlib.import_module("vapoursynth")
    vs.core.num_threads = 1
    _, channels, height, width = pictures[0].shape
    blank = vs.core.std.BlankClip(
        format=vs.RGBS if channels == 3 else vs.GRAYS,
        width=width,
        height=height,
        length=1 << 20,
        keep=True,
    )

    def fill(n, f):
        frame = f.copy()
        for channel in range(channels):
            np.copyto(np.asarray(frame[channel]), pictures[n % len(pictures)][0, channel])
        return frame

    source = vs.core.std.ModifyFrame(blank, blank, fill)
    enlarged = getattr(vs.core, plugin).Model(source, model, **options)

    def run(number):
        enlarged.get_frame(number).close()

    return run


def vs_mlrt_ort(precision, model, threads, pictures):
    return vs_mlrt("ort", {"fp16": precision == "fp16"}, model, threads, pictures)


def vs_mlrt_ov(precision, model, threads, pictures):
    options = {"device": "CPU", "config": lambda: openvino_options(precision, threads)}
    return vs_mlrt("ov", options, model, threads, pictures)


RUNTIMES = {
    "ncnn": ncnn,
    "openvino": openvino,
    "vs-mlrt-ort": vs_mlrt_ort,
    "vs-mlrt-ov": vs_mlrt_ov,
}
CLOCKS = {"wall": time.perf_counter_ns, "processor": time.process_time_ns}


def main():
    runtime, precision, model, channels, threads, clock, width, height = sys.argv[1:]
    width, height, now = int(width), int(height), CLOCKS[clock]
    count = int(sys.stdin.buffer.readline())
    pictures = []
    for _ in range(count):
        data = np.frombuffer(sys.stdin.buffer.read(width * height * 3), np.uint8)
        picture = data.reshape(1, height, width, 3).transpose(0, 3, 1, 2)[:, : int(channels)]
        pictures.append(np.ascontiguousarray(picture, np.float32) / np.float32(255))
    # Libraries may write to standard output, which is for the answers only.
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        run = RUNTIMES[runtime](precision, model, int(threads), pictures)
        run(0)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=answers, flush=True)
        return
    print("ready", file=answers, flush=True)
    number = 1
    for line in sys.stdin.buffer:
        start = now()
        for _ in range(int(line)):
            run(number)
            number += 1
        print(now() - start, file=answers, flush=True)


main()

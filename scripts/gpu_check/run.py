"""What gpu-check.sh runs on a machine with a GPU: each part's results, or its error, as one object in gpu-check.json."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from peer_airbench import airbench
from peer_torch import entropy_rates, resnet18_by_epoch, resnet18_rates
from tools import agreement, errors, kernels, libraries, streams, training

# Seconds, of 290 that gpu-check.sh gives, after which no part is begun.
BUDGET = 250


def parts(options, folder):
    """The parts by name, the most wanted first: a part that finds no time is left out."""
    yield "errors", lambda: errors()
    if options.device == "cuda":
        yield "kernels", lambda: kernels()
    yield "agreement", lambda: agreement(options, folder)
    yield "train", lambda: training(options, folder)
    yield "airbench", lambda: airbench(options)
    yield "torch_resnet18_images_per_second", lambda: resnet18_rates(options)
    yield "torch_resnet18_by_epoch", lambda: resnet18_by_epoch(options)
    yield "torch_entropy_gb_s", lambda: entropy_rates(options)
    yield "streams", lambda: streams(options, folder)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="folder of CIFAR-10: train.npy and test.npy, as fetch-data writes them")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that a CPU computes in a minute")
    return parser.parse_args()


def main():
    options, start = arguments(), time.monotonic()
    results = {"torch": torch.__version__, "cuda": torch.version.cuda, "libraries": libraries()}
    if options.device == "cuda":
        results["gpu"] = torch.cuda.get_device_name()
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts(options, Path(folder)):
            begin = time.monotonic()
            if begin - start > BUDGET:
                results[name] = {"skipped": "no time left"}
                continue
            try:
                results[name] = part()
            except Exception as error:  # noqa: BLE001  the other parts are still of use
                results[name] = {"error": f"{type(error).__name__}: {error}"}
            results[f"{name}_seconds"] = round(time.monotonic() - begin, 1)
            Path("gpu-check.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

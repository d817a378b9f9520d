"""Pictures that tell their person from afar, for tests that learn."""

import numpy as np
from rmdlora.golden.data import Pictures

__all__ = ["draw_blobs"]


def draw_blobs(people=6, each=10, seed=3, source="blobs", passed_over=()):
    """`Pictures` of ``people``, ``each`` of them: a bright patch in a place of the person's own."""
    draw = np.random.default_rng(seed)
    images = 0.2 * draw.random((people * each, 64, 64), dtype=np.float32)
    identity = np.repeat(np.arange(people), each)
    for image, person in zip(images, identity, strict=True):
        image[8 + 8 * person:16 + 8 * person, 20:44] += 0.7
    return Pictures(images, identity, source, "digits", passed_over)

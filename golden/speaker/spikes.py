"""Spoken digits as spike counts: which clips, how they are split, how they are encoded.

The clips are those of the Free Spoken Digit Dataset (CC BY-SA 4.0), ``fsdd_train.npz`` in the folder that the
environment variable ``RMDLORA_DATA`` names (default: ``shared/data`` beside the repository): six speakers, ten digits,
twenty takes of each.

The published system hears the Spiking Speech Commands, which no open licence lets us keep. Here a plain mel filter bank
makes the spikes: 140 channels over ten windows of a clip, the log energy of each, relative to the clip's own peak (so
that loudness, which alone would give the speaker away, tells nothing), as a count of 0 to 7.
"""

import dataclasses
import os
import pathlib
import zipfile

import numpy as np

from ..data import default_folder
from ..spec.refusal import RefusedValue

__all__ = ["CHANNELS", "TOP", "WINDOWS", "Clips", "Split", "encode_clip", "load_clips", "rehearse_split", "split_clips"]

ARCHIVE = "fsdd_train.npz"
SOURCE = "Free Spoken Digit Dataset (CC BY-SA 4.0), mel filter bank"
RATE = 8000                 # of the clips, samples a second
CHANNELS, WINDOWS = 140, 10
FRAME, HOP, BINS = 400, 80, 1024        # samples of a frame, between frames, and of its transform
LOWEST_HZ, HIGHEST_HZ = 60.0, 4000.0
RANGE_DB = 50.0             # below the clip's peak a channel is silent
TOP = 7                     # count of the peak
TEST, VALIDATION = 4, 3     # takes of a digit by a speaker
APART = 2                   # of them that nobody hears in a rehearsal, between those trained on and those judged


@dataclasses.dataclass(frozen=True)
class Clips:
    """Encoded clips: ``counts`` float32 (n, windows, channels), whole numbers; ``speaker``, ``digit`` and ``take`` (of
    a digit by a speaker) int64 (n,)."""

    counts: np.ndarray
    speaker: np.ndarray
    digit: np.ndarray
    take: np.ndarray
    names: tuple
    source: str = SOURCE


@dataclasses.dataclass(frozen=True)
class Split:
    """Indices into `Clips`: ``train``, ``validation`` and ``test`` share none."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def filter_bank():
    """Triangles that sum a spectrum's power into mel channels, float64 (channels, bins / 2 + 1)."""
    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(mel(LOWEST_HZ), mel(HIGHEST_HZ), CHANNELS + 2) / 2595) - 1)
    spectrum = np.arange(BINS // 2 + 1) * RATE / BINS
    # a triangle narrower than a bin of the transform would fall between two of them
    low = np.minimum(edges[:-2], edges[1:-1] - RATE / BINS)
    high = np.maximum(edges[2:], edges[1:-1] + RATE / BINS)
    rise = (spectrum - low[:, None]) / (edges[1:-1] - low)[:, None]
    fall = (high[:, None] - spectrum) / (high - edges[1:-1])[:, None]
    bank = np.clip(np.minimum(rise, fall), 0, None)
    return bank / bank.sum(axis=1, keepdims=True)


BANK = filter_bank()


def encode_clip(waveform):
    """Spike counts float32 (windows, channels) of a clip, int16 (samples,)."""
    samples = waveform.astype(np.float64)
    if len(samples) < FRAME + HOP * (WINDOWS - 1):
        samples = np.pad(samples, (0, FRAME + HOP * (WINDOWS - 1) - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, BINS)) ** 2 @ BANK.T                                 # (frames, channels)
    windows = np.stack([part.mean(axis=0) for part in np.array_split(power, WINDOWS)])
    decibel = 10 * np.log10(np.maximum(windows, 1e-12))
    level = np.clip(1 + (decibel - decibel.max()) / RANGE_DB, 0, 1)
    return np.rint(TOP * level).astype(np.float32)


def load_clips(folder=None):
    """All `Clips`. Refuses an archive that is not there, or not what it should be."""
    path = pathlib.Path(folder or os.environ.get("RMDLORA_DATA") or default_folder()) / ARCHIVE
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            waveform, length, names, *labels = (archive[key] for key in (
                "waveform", "length", "speaker_names", "speaker", "digit", "index"))
    except FileNotFoundError:
        raise RefusedValue(f"RMDLORA_DATA must name a folder with {ARCHIVE} (Free Spoken Digit Dataset), not "
                           f"{path.parent}: it is not there") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise RefusedValue(f"{path} must be a numpy archive of spoken digits: {problem}") from None
    counts = np.stack([encode_clip(clip[:samples]) for clip, samples in zip(waveform, length, strict=True)])
    return Clips(counts, *(label.astype(np.int64) for label in labels), tuple(map(str, names)))


def split_clips(clips, seed=0):
    """The `Split`. The last `TEST` takes of every digit by every speaker are for test, whatever the seed; of the
    others, `VALIDATION`, drawn by ``seed``, for validation.
    """
    draw = np.random.default_rng(seed)
    parts = {"train": [], "validation": [], "test": []}
    for speaker in np.unique(clips.speaker):
        for digit in np.unique(clips.digit):
            takes = np.flatnonzero((clips.speaker == speaker) & (clips.digit == digit))
            takes = takes[np.argsort(clips.take[takes], kind="stable")]
            parts["test"].append(takes[-TEST:])
            others = draw.permutation(takes[:-TEST])
            parts["validation"].append(others[:VALIDATION])
            parts["train"].append(others[VALIDATION:])
    return Split(**{name: np.sort(np.concatenate(part)) for name, part in parts.items()})


def rehearse_split(clips, late=True):
    """A `Split` whose ``test`` are takes far from those of ``train``; those that `split_clips` keeps for test are in no
    part of it.

    The other takes of a digit by a speaker are halved. ``late``: trained on the first half, tested on the second
    without its first `APART` takes; else trained on the second, tested on the first without its last `APART`. Takes
    that follow each other sound alike, so this is further apart than a take drawn among the others; ``validation`` is
    empty.
    """
    parts = {"train": [], "test": []}
    for speaker in np.unique(clips.speaker):
        for digit in np.unique(clips.digit):
            takes = np.flatnonzero((clips.speaker == speaker) & (clips.digit == digit))
            takes = takes[np.argsort(clips.take[takes], kind="stable")][:-TEST]
            takes = takes if late else takes[::-1]
            half = len(takes) // 2
            parts["train"].append(takes[:half])
            parts["test"].append(takes[half + APART:])
    train, test = (np.sort(np.concatenate(part)) for part in parts.values())
    return Split(train, test[:0], test)

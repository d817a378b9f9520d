"""Pictures: sources, split, augmentation."""

import numpy as np
import pytest
import torch
from rmdlora.golden.data import ARCHIVE, augment, fold_pictures, load_pictures, shrink, split_pictures
from rmdlora.golden.spec.refusal import RefusedValue


def write_archive(folder, people=6, each=10, side=64, seed=1):
    """An archive of random pictures, shaped as the real one."""
    draw = np.random.default_rng(seed)
    np.savez(folder / ARCHIVE, images=draw.integers(0, 256, (people * each, side, side), dtype=np.uint8),
             target=np.repeat(np.arange(people), each))


def no_network():
    raise OSError("no route to host")


def test_the_named_folder_comes_first_and_is_said(tmp_path, monkeypatch):
    write_archive(tmp_path)
    monkeypatch.setenv("RMDLORA_DATA", str(tmp_path))
    pictures = load_pictures(5, download=no_network)
    assert pictures.images.shape == (50, 64, 64) and pictures.images.dtype == np.float32
    assert sorted(set(pictures.identity.tolist())) == [0, 1, 2, 3, 4]
    assert pictures.kind == "faces" and "RMDLORA_DATA" in pictures.source and not pictures.passed_over


def test_the_downloader_comes_second(tmp_path):
    images, identity = np.zeros((20, 64, 64), np.float32), np.repeat(np.arange(2), 10)
    pictures = load_pictures(2, folder=tmp_path, download=lambda: (images, identity))
    assert "through scikit-learn" in pictures.source and len(pictures.passed_over) == 1


def test_the_digits_come_last_and_every_reason_is_told(tmp_path):
    pictures = load_pictures(6, folder=tmp_path, download=no_network)
    assert pictures.kind == "digits" and "digits" in pictures.source
    assert str(tmp_path) in pictures.passed_over[0] and "no route to host" in pictures.passed_over[1]
    assert pictures.images.shape[1:] == (64, 64) and pictures.images.min() >= 0 and pictures.images.max() == 1
    assert (np.bincount(pictures.identity) >= 10).all()


def test_a_broken_archive_is_refused_by_name(tmp_path):
    (tmp_path / ARCHIVE).write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(RefusedValue, match=f"{ARCHIVE} must be a numpy archive with images and target"):
        load_pictures(5, folder=tmp_path, download=no_network)
    np.savez(tmp_path / ARCHIVE, images=np.zeros((4, 8, 8)), target=np.zeros(4, int))
    with pytest.raises(RefusedValue, match="must hold images uint8"):
        load_pictures(5, folder=tmp_path, download=no_network)


def test_too_few_people_are_refused(tmp_path):
    write_archive(tmp_path, people=3)
    with pytest.raises(RefusedValue, match="identities must each have at least 2 pictures"):
        load_pictures(5, folder=tmp_path, download=no_network)


def test_no_test_picture_is_in_training_and_every_person_is_in_both(tmp_path):
    write_archive(tmp_path)
    pictures = load_pictures(5, folder=tmp_path)
    for seed in range(5):
        split = split_pictures(pictures, seed=seed)
        assert not set(split.train) & set(split.test) and len(split.train) + len(split.test) == 50
        assert np.bincount(pictures.identity[split.train]).tolist() == [7] * 5
        assert np.bincount(pictures.identity[split.test]).tolist() == [3] * 5
    again = split_pictures(pictures, seed=4)
    assert (again.train == split.train).all() and (split_pictures(pictures, seed=0).train != split.train).any()


def test_every_picture_is_tested_in_one_fold_and_trained_on_in_all_others(tmp_path):
    write_archive(tmp_path, each=11)
    pictures = load_pictures(6, folder=tmp_path, download=no_network)
    folds = fold_pictures(pictures, 5, seed=3)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(66))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(66))
        assert set(np.bincount(pictures.identity[fold.test], minlength=6).tolist()) <= {2, 3}
    same, other = (fold_pictures(pictures, 5, seed=seed) for seed in (3, 4))
    assert np.array_equal(folds[0].test, same[0].test) and not np.array_equal(folds[0].test, other[0].test)
    with pytest.raises(RefusedValue, match="identities must each have at least 12 pictures for 12 folds, not 11"):
        fold_pictures(pictures, 12)


def test_augmentation_is_seeded_and_keeps_each_copy_beside_its_picture():
    images = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    once, again = (augment(images, 4, torch.Generator().manual_seed(2)) for _ in range(2))
    assert once.shape == (12, 64, 64) and torch.equal(once, again)
    assert not torch.equal(once, augment(images, 4, torch.Generator().manual_seed(3)))
    still = augment(images, 2, torch.Generator().manual_seed(2), degrees=0, zoom=(1, 1), shift=0, flip=False)
    assert torch.allclose(still, images.repeat_interleave(2, dim=0), atol=1e-5)


def test_shrunk_pictures_average_their_pixels_onto_minus_one_to_one():
    images = torch.zeros(1, 64, 64)
    images[:, :4, :4] = 1
    small = shrink(images)
    assert small.shape == (1, 16, 16) and small[0, 0, 0] == 1 and small[0, 5, 5] == -1

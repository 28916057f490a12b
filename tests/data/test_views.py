import numpy as np
import torch
from scipy import stats

from goodteacher.config.augmentation import Augmentation
from goodteacher.data.views import crop_and_flip, cut_out, hashed, mixing

IDS = torch.arange(4000) * 7 - 900  # any integers, negative ones too


def images(count=40, channels=3, height=9, width=11):
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, height, width)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator)


def splitmix(value):
    """One step of the published generator's finaliser, in Python's integers."""
    mask = 2**64 - 1
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)


def test_hash_is_splitmix_in_64_bit_integers():
    mask = 2**64 - 1
    view, stream, purpose = 3, 2, 5
    offset = view * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03 + purpose * 0x8CB92BA72F3D8DD7
    for number in (0, 1, -1, 123456789, 2**62):
        mixed = splitmix((number * 0xBF58476D1CE4E5B9 + offset) & mask)
        expected = splitmix((mixed + offset) & mask) & (2**62 - 1)
        found = hashed(torch.tensor([number]), view=view, stream=stream, purpose=purpose)
        assert int(found) == expected


def test_draws_are_uniform_and_unrelated_between_ids_views_streams_and_purposes():
    base = {"view": 1, "stream": 0, "purpose": 0}
    draws = hashed(IDS, **base).double().numpy() / 2**62
    assert stats.kstest(draws, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.06
    for name in base:
        other = hashed(IDS, **{**base, name: base[name] + 1}).double().numpy()
        assert abs(np.corrcoef(draws, other)[0, 1]) < 0.06, name


def test_crop_cuts_a_window_of_the_padded_image_and_flip_mirrors_it():
    pictures = images()
    ids = torch.arange(len(pictures))
    cropped = crop_and_flip(pictures, ids, Augmentation(crop=2), view=1, stream=0).numpy()
    both = crop_and_flip(pictures, ids, Augmentation(crop=2, flip=True), view=1, stream=0).numpy()
    offsets = set()
    for picture, window, mirrored in zip(pictures.numpy(), cropped, both, strict=True):
        padded = np.pad(picture, ((0, 0), (2, 2), (2, 2)))
        places = [(y, x) for y in range(5) for x in range(5)]
        found = [(y, x) for y, x in places if (padded[:, y : y + 9, x : x + 11] == window).all()]
        assert len(found) == 1
        offsets.add(found[0])
        assert (mirrored == window).all() or (mirrored == window[:, :, ::-1]).all()
    assert len(offsets) > 12  # of 25: windows differ between images
    assert 8 < sum((m == c).all() for m, c in zip(both, cropped, strict=True)) < 32


def test_view_is_the_same_whenever_and_in_whatever_company_it_is_made():
    pictures, ids = images(), torch.arange(40) + 100
    everything = Augmentation(flip=True, crop=3)
    together = crop_and_flip(pictures, ids, everything, view=2, stream=1)
    some = torch.tensor([7, 31, 2])
    alone = crop_and_flip(pictures[some], ids[some], everything, view=2, stream=1)
    assert torch.equal(alone, together[some])
    assert not torch.equal(together, crop_and_flip(pictures, ids, everything, view=3, stream=1))
    assert not torch.equal(together, crop_and_flip(pictures, ids, everything, view=2, stream=2))


def test_cutout_sets_one_square_to_the_mean_and_leaves_the_rest():
    mean = torch.tensor([0.25, 0.75])[:, None, None]
    pictures, augmentation = images(60, channels=2), Augmentation(cutout=4)
    cut = cut_out(pictures, torch.arange(60), augmentation, view=1, stream=0, fill=mean)
    for picture, whole in zip(cut, pictures, strict=True):
        hole = picture == mean  # images are of whole numbers
        assert torch.equal(picture[~hole], whole[~hole].float())
        rows, columns = torch.where(hole[0])
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert len(rows) == height * width  # a full rectangle
        assert 2 <= height <= 4
        assert 2 <= width <= 4
        assert torch.equal(hole[0], hole[1])
    assert len({tuple(torch.where(p[0] == 0.25)[0].tolist()) for p in cut}) > 5


def test_mixup_draws_partners_uniformly_and_shares_from_the_beta_distribution():
    partners, shares = mixing(IDS, Augmentation(mixup=0.4), num_examples=50, view=1, stream=0)
    counts = torch.bincount(partners, minlength=50)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert stats.kstest(shares.double().numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 1e-3

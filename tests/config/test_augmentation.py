import pytest

from goodteacher.config.augmentation import Augmentation
from goodteacher.errors import ConfigError


@pytest.mark.parametrize(
    ("specs", "shown"),
    [
        (["flip", "crop:4"], "flip,crop:4"),
        (["mixup:0.5", "cutout"], "cutout:8,mixup:0.5"),
        ([], "none"),
    ],
)
def test_augmentation_is_read_and_shown_in_one_notation(specs, shown):
    assert str(Augmentation.parse(specs)) == shown


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        (["flp"], "augment can be flip, crop, cutout, mixup, but got 'flp'"),
        (["crop:4", "crop:2"], "augment may name crop once"),
        (["crop:0"], "crop takes a whole number of pixels above 0"),
        (["crop:2.5"], "crop takes a whole number of pixels above 0"),
        (["mixup:inf"], "mixup takes a number above 0"),
        (["flip:3"], "flip has no size"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(specs, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Augmentation.parse(specs)


def test_nothing_named_is_false_and_anything_named_is_true():
    assert not Augmentation()
    assert Augmentation(flip=True)
    assert Augmentation(mixup=0.2)

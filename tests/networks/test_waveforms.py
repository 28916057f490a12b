import numpy as np
import pytest
import torch

from goodteacher.data import InputSpec
from goodteacher.errors import DataError
from goodteacher.networks.preparation import Chain, preparation_from
from goodteacher.networks.waveforms import Waveform

WAVES = InputSpec(kind="numbers", shape=(50,))


def waves():
    return torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) * 9 + 3


def test_each_example_is_standardised_alone():
    found = Waveform(16_000, standardize=True)(waves())
    rows = waves().numpy().astype(np.float64)
    expected = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-7)
    torch.testing.assert_close(found, torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-5)


def test_silence_stays_finite():
    assert torch.equal(Waveform(8000, standardize=True)(torch.ones(2, 50)), torch.zeros(2, 50))


def test_samples_may_stay_as_they_are_but_are_a_copy():
    raw = waves()
    found = Waveform(8000, standardize=False)(raw)
    assert torch.equal(found, raw)
    assert found.data_ptr() != raw.data_ptr()


def test_whole_numbers_are_sound_too():
    whole = (waves() * 100).short()
    found = Waveform(8000, standardize=True)(whole)
    torch.testing.assert_close(found, Waveform(8000, standardize=True)(whole.float()))
    assert Waveform(8000, standardize=True).output(
        InputSpec(kind="integers", shape=(50,), low=-9, high=9)
    ) == InputSpec(kind="numbers", shape=(50,))


def test_it_survives_a_file():
    step = Waveform(44_100, standardize=True)
    again = preparation_from(Chain(step).to_dict())
    assert torch.equal(again(waves()), step(waves()))
    assert again.output(WAVES).shape == (50,)
    assert again.steps[0].rate == 44_100
    assert repr(again.steps[0]) == repr(step)


@pytest.mark.parametrize("shape", [(1, 50), (3, 8, 8)])
def test_what_is_no_waveform_is_refused(shape):
    with pytest.raises(ValueError, match="are not waveforms"):
        Waveform(8000, standardize=True).output(InputSpec(kind="numbers", shape=shape))


def test_a_damaged_record_is_refused():
    with pytest.raises(DataError, match="at least one sample per second"):
        preparation_from({"steps": [{"kind": "waveform", "rate": 0, "standardize": True}]})

"""Arrays of every kind that NumPy has, for tests of what reads whatever it is given."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def asked_often(examples):
    """Settings of a property whose examples share a folder: each writes its file anew."""
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


def any_arrays(*further, max_dims):
    """Arrays of numbers, truth values, texts and bytes, and of ``further`` types, also empty ones.

    Args:
        *further: Strategies of types.
        max_dims: Axes, at most.
    """
    types = st.one_of(
        hnp.floating_dtypes(sizes=(16, 32, 64)),
        hnp.integer_dtypes(),
        hnp.unsigned_integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.complex_number_dtypes(),
        hnp.unicode_string_dtypes(max_len=4),
        hnp.byte_string_dtypes(max_len=4),
        *further,
    )
    shapes = hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=4)
    return types.flatmap(lambda kind: hnp.arrays(kind, shapes))

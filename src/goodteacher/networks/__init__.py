"""Architectures by specification: ``mlp:64``, ``cnn:16,32``, ``resnet:20``, ``wrn:16-2``, yours.

A specification is ``family:argument``. :data:`~goodteacher.networks.build.FAMILIES` is the table of
families; a new one is a builder function and an entry there. All networks are made of modules only
(``nn.ReLU`` rather than ``torch.relu``), so that ``torch.fx`` can trace them and many students of
one architecture can be stacked.
"""

from __future__ import annotations

from goodteacher.networks.build import (
    FAMILIES,
    Family,
    build_model,
    canonical_spec,
    is_users_own,
    parameter_count,
)
from goodteacher.networks.given import NetworkLike, give_again, is_given, specification_of
from goodteacher.networks.identity import NetworkIdentity, identity_of

__all__ = [
    "FAMILIES",
    "Family",
    "NetworkIdentity",
    "NetworkLike",
    "build_model",
    "canonical_spec",
    "give_again",
    "identity_of",
    "is_given",
    "is_users_own",
    "parameter_count",
    "specification_of",
]

"""Networks by specification: ``mlp:64``, ``cnn:16,32``, ``resnet:20``, ``wrn:16-2``, yours.

A specification is ``family:argument``. :data:`~goodteacher.networks.build.FAMILIES` is the table of
families; a new one is a builder function and an entry there. All networks are made of modules only
(``nn.ReLU`` rather than ``torch.relu``), so that ``torch.fx`` can trace them and many students of
one architecture can be stacked.

Behind an ``@`` a specification says how its network wants its inputs (``mlp:64@resize:14``):
:data:`~goodteacher.networks.fitting.PREPARATIONS`. A `Network` is its preparation and its module.
"""

from __future__ import annotations

from goodteacher.networks.adapting import inside, logits_of
from goodteacher.networks.build import (
    FAMILIES,
    Family,
    build_model,
    canonical_spec,
    is_users_own,
    parameter_count,
)
from goodteacher.networks.examples import Examples
from goodteacher.networks.fitting import PREPARATIONS, fit_preparation, split_spec
from goodteacher.networks.given import NetworkLike, give_again, specification_of
from goodteacher.networks.identity import NetworkIdentity, identity_of
from goodteacher.networks.network import Network, build_network
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.preparation import Chain, Preparation, preparation_from
from goodteacher.networks.preparing import Preparations

__all__ = [
    "FAMILIES",
    "PREPARATIONS",
    "Chain",
    "Examples",
    "Family",
    "Network",
    "NetworkIdentity",
    "NetworkLike",
    "Normalization",
    "Preparation",
    "Preparations",
    "build_model",
    "build_network",
    "canonical_spec",
    "fit_preparation",
    "give_again",
    "identity_of",
    "inside",
    "is_users_own",
    "logits_of",
    "parameter_count",
    "preparation_from",
    "specification_of",
    "split_spec",
]

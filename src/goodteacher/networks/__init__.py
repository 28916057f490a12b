"""Networks by specification: ``mlp:64``, ``cnn:16,32``, ``resnet:20``, ``wrn:16-2``, yours.

A specification is ``source:argument``. :data:`~goodteacher.networks.build.NETWORK_SOURCES` is the
table of sources; a new one is a builder function and an entry there. The library's networks are
made of modules only (``nn.ReLU`` rather than ``torch.relu``), so that ``torch.fx`` can trace them
and many students of one architecture can be stacked.

Behind an ``@`` a specification says how its network wants its inputs (``mlp:64@resize:14``):
:data:`~goodteacher.networks.fitting.PREPARATIONS`. A `Network` is its preparation and its module.
"""

from __future__ import annotations

from goodteacher.networks.adapting import inside, logits_of
from goodteacher.networks.batches import (
    Batch,
    batch_device,
    batch_length,
    batch_shape,
    map_batch,
    split_batch,
)
from goodteacher.networks.build import (
    NETWORK_SOURCES,
    NetworkSource,
    build_model,
    canonical_spec,
    described,
    is_users_own,
    needs_description,
    parameter_count,
    rebuilt,
    weight_bytes,
)
from goodteacher.networks.encoding import Encode, one_hot_encoder
from goodteacher.networks.estimators import (
    check_teaches,
    estimator_of,
    filters_kept,
    is_estimator,
    out_of_fold,
    possible_folds,
    seeded,
)
from goodteacher.networks.examples import Examples
from goodteacher.networks.fitting import PREPARATIONS, fit_preparation, split_spec
from goodteacher.networks.given import (
    NetworkLike,
    give_again,
    specification_of,
)
from goodteacher.networks.identity import NetworkIdentity, identity_of
from goodteacher.networks.intake import as_stored, as_texts, warn_of_dark_images
from goodteacher.networks.network import Network, build_network
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.preparation import Chain, Preparation, kind_of, preparation_from
from goodteacher.networks.preparing import Preparations
from goodteacher.networks.pretrained import Finished, finished_classifier, separator_of
from goodteacher.networks.tokenizing import Tokenize, encoded_by
from goodteacher.networks.trusted import check_code

__all__ = [
    "NETWORK_SOURCES",
    "PREPARATIONS",
    "Batch",
    "Chain",
    "Encode",
    "Examples",
    "Finished",
    "Network",
    "NetworkIdentity",
    "NetworkLike",
    "NetworkSource",
    "Normalization",
    "Preparation",
    "Preparations",
    "Tokenize",
    "as_stored",
    "as_texts",
    "batch_device",
    "batch_length",
    "batch_shape",
    "build_model",
    "build_network",
    "canonical_spec",
    "check_code",
    "check_teaches",
    "described",
    "encoded_by",
    "estimator_of",
    "filters_kept",
    "finished_classifier",
    "fit_preparation",
    "give_again",
    "identity_of",
    "inside",
    "is_estimator",
    "is_users_own",
    "kind_of",
    "logits_of",
    "map_batch",
    "needs_description",
    "one_hot_encoder",
    "out_of_fold",
    "parameter_count",
    "possible_folds",
    "preparation_from",
    "rebuilt",
    "seeded",
    "separator_of",
    "specification_of",
    "split_batch",
    "split_spec",
    "warn_of_dark_images",
    "weight_bytes",
]

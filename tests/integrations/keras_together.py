"""What one of several processes does in which Keras trains; tests/integrations start it.

KERAS_BACKEND=torch RANK=0 WORLD_SIZE=2 ... python -m tests.integrations.keras_together FOLDER
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from goodteacher import Recorder
from goodteacher.errors import ConfigError
from goodteacher.studies import Store
from tests.integrations.trained_together import numbers

EPOCHS = 3


def classifier():
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss)
    return model


def join(backend, rank, size):
    """Make this one of several processes, as its backend wants it."""
    if size == 1:
        return
    if backend == "torch":
        torch.distributed.init_process_group("gloo")
    else:
        import jax

        place = f"127.0.0.1:{os.environ['MASTER_PORT']}"
        jax.distributed.initialize(place, size, rank)


def main(folder):
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend, wrote = os.environ["KERAS_BACKEND"], []
    join(backend, rank, size)
    import keras

    from goodteacher.integrations.keras import RecorderCallback

    if backend == "jax" and size == 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    kept = Store.writing
    Store.writing = lambda store, *parts: (wrote.append("/".join(parts)), kept(store, *parts))[1]
    recorder = Recorder(folder / "run", numbers())
    model, part = classifier(), recorder.training
    rows = np.arange(len(part.labels))[rank::size]
    rows = rows[: len(rows) // 8 * 8]  # devices share each batch, so that all must be even
    x, y = np.asarray(part.examples())[rows], part.labels.numpy()[rows]
    told = {"error": None, "epochs": None, "devices": None}
    try:
        done = model.fit(
            x, y, epochs=EPOCHS, verbose=0, batch_size=8, callbacks=[RecorderCallback(recorder)]
        )
        told["epochs"] = len(done.epoch)
    except ConfigError as error:
        told["error"] = str(error)
    if backend == "jax":
        import jax

        told["devices"] = len(jax.local_devices())
    told |= {"wrote": wrote, "records": [record.epoch for record in recorder.records]}
    if rank == 0:
        np.savez(folder / "weights.npz", *model.get_weights())
    (folder / f"{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    sys.stdout.flush()
    os._exit(0)  # threads of gloo, and of JAX's coordinator, may abort a process that ends later

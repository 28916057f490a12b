"""A pretrained network of timm teaches a small one, each seeing images at a size of its own.

    python examples/timm_network.py DATA study --weights tuned.safetensors --pixels 96
    python examples/timm_network.py DATA study --weights fetched.safetensors --fetch

DATA is a folder of images or another data set. With --fetch, the weights that timm publishes are
written to the file first; without it, the file has those of a network that you have tuned yourself.
"""

import argparse

import timm
from safetensors.torch import save_file

import goodteacher

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("data", "out"):
        parser.add_argument(name)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--pixels", type=int, default=96)
    parser.add_argument("--student", default="cnn:16,32")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--student-epochs", type=int, help="tuned where none are named")
    given = parser.parse_args()
    if given.fetch:
        network = timm.create_model(given.network, pretrained=True)
        save_file(network.state_dict(), given.weights)
    study = goodteacher.search(
        given.data,
        teacher=f"timm:{given.network}+{given.weights}@pixels:{given.pixels}",
        student=given.student,
        batch_sizes=[32],
        learning_rates=[1e-4],
        epochs=given.epochs,
        student_epochs=given.student_epochs,
        out=given.out,
    )
    print(study.sweet_spot.summary)
    print(study.report)

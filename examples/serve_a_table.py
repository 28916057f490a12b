"""A table's student behind HTTP: ONNX Runtime and NumPy, without goodteacher and scikit-learn.

    python examples/serve_a_table.py shipped 8000
    curl localhost:8000 -d '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'              # fitted to an array
    curl localhost:8000 -d '{"height": [1.5, null], "colour": ["red", ""]}'  # to a data frame

``shipped`` is what ``DistilledClassifier(...).fit(X, y).export("shipped", X_test, y_test)`` wrote.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import onnxruntime

model = onnxruntime.InferenceSession(f"{sys.argv[1]}/model.onnx")
classes = json.loads(model.get_modelmeta().custom_metadata_map["class_names"])
kinds = {each.name: np.float32 if "float" in each.type else object for each in model.get_inputs()}


def classify(given):
    columns = {name: np.array(given[name], kind) for name, kind in kinds.items()}
    rows = {name: column.reshape(len(column), -1) for name, column in columns.items()}
    (probabilities,) = model.run(["probabilities"], rows)
    return [dict(zip(classes, row.tolist(), strict=True)) for row in probabilities]


class Handler(BaseHTTPRequestHandler):
    """Answers rows with the probability of each class."""

    def do_POST(self) -> None:
        """Answer one request."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(classify(given)).encode())


HTTPServer(("localhost", int(sys.argv[2])), Handler).serve_forever()

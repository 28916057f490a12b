"""The report: a study's result files, drawn into one page that needs nothing else.

| module       | owns                                                                             |
|--------------|----------------------------------------------------------------------------------|
| `findings`   | reading a study folder; the only module here, trackers aside, that does          |
| `rungs`      | what the search's students reached: means and spread of each arm on a rung       |
| `quantities` | the table of what is said about a teacher: names, units, splits                  |
| `recorded`   | what recorded responses say, read and aggregated                                 |
| `alike`      | which classes a teacher calls alike                                              |
| `examples`   | what each teacher says of the same example, epoch by epoch                       |
| `arms`       | every arm in one table, and how the students learned                             |
| `answer`     | the answer first: one sentence, what it rests on, what to do next                |
| `headline`   | the table of confirmed students and the plot of their differences                |
| `runs`       | runs as an axis: which attributes tell them apart                                |
| `maps`       | runs x epochs                                                                    |
| `curves`     | a quantity over epochs, a line for each run                                      |
| `students`   | students over temperature, and students against their teachers                   |
| `ladder`     | the verdict's waterfall and its controls                                         |
| `further`    | its temperature curve, omitted class and fidelity                                |
| `omitted`    | an omitted class in examples: who is recognised, and what taught them            |
| `errors`     | whether students make the errors of their teacher                                |
| `classes`    | which classes gain, where confusions move, which examples flip                   |
| `judgement`  | the verdict and its evidence as sections                                         |
| `facts`      | tables: cost, settings, data, environment                                        |
| `exported`   | the last export: quality, size and times beside the teacher                      |
| `parts`      | what a page is made of: tables, views, panels, sections                          |
| `front`      | several students on one page                                                    |
| `chart`      | what a figure shows, as plain data                                               |
| `svg`        | figures drawn as SVG                                                             |
| `strips`     | bars that divide a whole, drawn as SVG                                           |
| `theme`      | colours of cells, and round numbers for axes                                     |
| `trackers`   | what MLflow, TensorBoard and Weights & Biases are told                           |
| `page`       | which parts, in which order, and the HTML around them                            |

Every figure has a *data function* (findings to plain frozen data) and a *drawing function* (that
data to a figure of `chart`). Figures read result files; nothing is drawn from live objects.
"""

from goodteacher.report.front import write_front_report
from goodteacher.report.page import write_report
from goodteacher.report.trackers import tell_trackers, tracked

__all__ = ["tell_trackers", "tracked", "write_front_report", "write_report"]

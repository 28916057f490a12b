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
| `scales`     | the axes of figures                                                              |
| `strips`     | bars that divide a whole, drawn as SVG                                           |
| `theme`      | colours of cells, and round numbers for axes                                     |
| `trackers`   | what MLflow, TensorBoard and Weights & Biases are told                           |
| `standalone` | a figure without the page around it: SVG with its own colours, or a part of one  |
| `plots`      | such figures with their numbers, for notebooks                                   |
| `study_plots`| which of them a study has                                                        |
| `compared`   | what a study brings to a comparison                                              |
| `pairs`      | delivered students of several studies on the test examples that they share       |
| `comparison` | several studies side by side: what is said, drawn and written of them            |
| `comparison_page` | its page                                                                    |
| `going`      | what a page says of work that has not ended                                      |
| `serving`    | the report on a loopback address, reloaded when there is a new one               |
| `running`    | the report of a study that is running: when it is drawn                          |
| `page`       | which parts, in which order, and the HTML around them                            |

Every figure has a *data function* (findings to plain frozen data) and a *drawing function* (that
data to a figure of `chart`). Figures read result files; nothing is drawn from live objects.
"""

from goodteacher.report.comparison import Comparison, check_page, compare
from goodteacher.report.comparison_page import answer_of_all
from goodteacher.report.front import write_front_report
from goodteacher.report.page import write_report
from goodteacher.report.plots import Plot
from goodteacher.report.running import drawn
from goodteacher.report.serving import ReportServer
from goodteacher.report.study_plots import (
    curves_plot,
    front_plot,
    gains_plot,
    ladder_plot,
    map_plot,
    students_plot,
    teachers_plot,
    temperatures_plot,
)
from goodteacher.report.trackers import tell_trackers, tracked

__all__ = [
    "Comparison",
    "Plot",
    "ReportServer",
    "answer_of_all",
    "check_page",
    "compare",
    "curves_plot",
    "drawn",
    "front_plot",
    "gains_plot",
    "ladder_plot",
    "map_plot",
    "students_plot",
    "teachers_plot",
    "tell_trackers",
    "temperatures_plot",
    "tracked",
    "write_front_report",
    "write_report",
]

"""Reports about sets of runs: one HTML file, a table, an overview figure; functions of run folders alone."""

from lapg_rl.reports.page import check_comparable as check_comparable
from lapg_rl.reports.page import write as write
from lapg_rl.reports.page import write_figure as write_figure

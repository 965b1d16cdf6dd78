"""The analytic figures: for each one function that returns its numbers and one that draws them; `lapg theory figures`."""

from lapg_theory.figures.catalogue import FIGURES as FIGURES
from lapg_theory.figures.catalogue import Figure as Figure
from lapg_theory.figures.catalogue import figure as figure
from lapg_theory.figures.store import read_numbers as read_numbers
from lapg_theory.figures.store import save as save
from lapg_theory.figures.store import write_numbers as write_numbers

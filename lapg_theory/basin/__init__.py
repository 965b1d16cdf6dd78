"""Which end a mixed pool of learning agents reaches, and how to steer it: edge, window, entropy, schedules."""

from lapg_theory.basin.course import Course as Course
from lapg_theory.basin.course import integrate as integrate
from lapg_theory.basin.course import random_starts as random_starts
from lapg_theory.basin.entropy import Branching as Branching
from lapg_theory.basin.entropy import folds as folds
from lapg_theory.basin.entropy import follow as follow
from lapg_theory.basin.escape import Escape as Escape
from lapg_theory.basin.escape import escape as escape
from lapg_theory.basin.escape import limit_time as limit_time
from lapg_theory.basin.exact_pool import Pool as Pool
from lapg_theory.basin.recipes import RECIPES as RECIPES
from lapg_theory.basin.recipes import pool_of as pool_of
from lapg_theory.basin.recipes import predict as predict
from lapg_theory.basin.recipes import small_pool as small_pool
from lapg_theory.basin.shaping_path import Estimate as Estimate
from lapg_theory.basin.shaping_path import ShapingPath as ShapingPath
from lapg_theory.basin.shaping_path import shaping_path as shaping_path
from lapg_theory.basin.stages import Stage as Stage

"""Everything a run depends on, as frozen dataclasses, checked when built. No other package holds defaults."""

from lapg_rl.config.alignment import AlignmentConfig as AlignmentConfig
from lapg_rl.config.game import CleanUpConfig as CleanUpConfig
from lapg_rl.config.game import CoinConfig as CoinConfig
from lapg_rl.config.game import CommonsConfig as CommonsConfig
from lapg_rl.config.game import GameConfig as GameConfig
from lapg_rl.config.pool import PoolConfig as PoolConfig
from lapg_rl.config.presets import PRESETS as PRESETS
from lapg_rl.config.presets import preset as preset
from lapg_rl.config.sections import LearnerConfig as LearnerConfig
from lapg_rl.config.sections import ModelConfig as ModelConfig
from lapg_rl.config.sections import NaiveConfig as NaiveConfig
from lapg_rl.config.text import check_config as check_config
from lapg_rl.config.text import dumps as dumps
from lapg_rl.config.text import flat as flat
from lapg_rl.config.text import from_dict as from_dict
from lapg_rl.config.text import full_key as full_key
from lapg_rl.config.text import load as load
from lapg_rl.config.text import override as override
from lapg_rl.config.text import save as save
from lapg_rl.config.text import to_dict as to_dict
from lapg_rl.config.whole import LEAST_SHAPING_SIGNAL as LEAST_SHAPING_SIGNAL
from lapg_rl.config.whole import Config as Config

"""Environments, most of two players, as pure functions on pytrees.

`lapg_rl.interfaces.Environment` says what one is; train on yours with `game.kind=package.module:function`.
"""

from lapg_rl.envs.adapters import FromGymnax as FromGymnax
from lapg_rl.envs.adapters import FromJaxMARL as FromJaxMARL
from lapg_rl.envs.adapters import ToGymnax as ToGymnax
from lapg_rl.envs.adapters import ToPettingZoo as ToPettingZoo
from lapg_rl.envs.cleanup import CleanUp as CleanUp
from lapg_rl.envs.coin import CoinGame as CoinGame
from lapg_rl.envs.group_game import IteratedGroupGame as IteratedGroupGame
from lapg_rl.envs.matrix_game import IteratedMatrixGame as IteratedMatrixGame
from lapg_rl.envs.reveal import Reveal as Reveal
from lapg_rl.envs.stochastic_game import IteratedStochasticGame as IteratedStochasticGame
from lapg_rl.envs.stopping import Stopping as Stopping

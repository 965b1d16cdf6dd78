"""Environments of two players, as pure functions on pytrees.

Another one is a class with

- `num_actions`, `observation_size`, and `one_hot`: whether every observation is a one-hot;
- `binary`, if it likes: whether players see zeros and ones only; trajectories then keep them as bytes;
- `bounds`, if it likes: `(low, high)`, between which all numbers lie that players see, for other libraries' interfaces;
- `reset(key) -> (state, observations [2, o])`, the start of an inner episode;
- `step(state, actions [2], key) -> (state, observations [2, o], rewards [2])`;
- `measures(observations [..., o], actions [...]) -> {name: [...]}`, what one player does or sees, as a number a step, for
  metrics and evaluations; `shared` names those that are the same for both players, `compared` those whose absolute
  difference between the players is of interest.

Train on it with `game.kind=custom game.factory=package.module:function`; the module is installed or in the working folder.
"""

from lapg_rl.envs.adapters import FromGymnax as FromGymnax
from lapg_rl.envs.adapters import ToGymnax as ToGymnax
from lapg_rl.envs.adapters import ToPettingZoo as ToPettingZoo
from lapg_rl.envs.cleanup import CleanUp as CleanUp
from lapg_rl.envs.matrix_game import IteratedMatrixGame as IteratedMatrixGame
from lapg_rl.envs.reveal import Reveal as Reveal

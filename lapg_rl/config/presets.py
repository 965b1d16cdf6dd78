"""Named configs."""

import types
from collections.abc import Mapping

from lapg_rl.config.checks import unknown
from lapg_rl.config.sections import LearnerConfig, PoolConfig
from lapg_rl.config.whole import Config


def preset(name: str) -> Config:
    """The named preset. Raises ValueError for an unknown name, with near matches."""
    if name not in PRESETS:
        raise ValueError(unknown(f"preset {name}", name, list(PRESETS)))
    return PRESETS[name]


#: Presets; each names the table it comes from, or what it was made for.
PRESETS: Mapping[str, Config] = types.MappingProxyType(
    {
        # Meulemans et al. (2025), appendix, IPD shaping: agents against naive learners only
        "ipd-shaping": Config(name="ipd-shaping"),
        # Meulemans et al. (2025), appendix, IPD mixed: agents among naive learners and each other
        "ipd-mixed": Config(name="ipd-mixed", pool=PoolConfig(p_naive=0.75, agents=4)),
        # ipd-shaping at a size that two CPU cores train in minutes: what the demo runs
        "ipd-shaping-small": Config(name="ipd-shaping-small", updates=160, meta_batch=32),
        # ipd-mixed at a size that two CPU cores train in half an hour: LAPG agents come to cooperate
        "ipd-mixed-small": Config(
            name="ipd-mixed-small",
            updates=250,
            meta_batch=24,
            learner=LearnerConfig(learning_rate=1e-3),
            pool=PoolConfig(p_naive=0.5, agents=4),
        ),
    }
)

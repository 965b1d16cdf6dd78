"""What an environment that wraps another one leaves as it is."""

from typing import Any


def inherited(name: str, *default: Any) -> Any:
    """A property with the value that the wrapped environment, `env`, has; `default` where that has no such attribute."""
    return property(lambda self: getattr(self.env, name, *default), doc="As of the environment itself.")

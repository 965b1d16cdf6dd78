"""Train learning-aware agents, and study what they do. Every name here is loaded when it is first asked for."""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The version of the distribution that is installed."""

from importlib.metadata import version

__version__ = version("asyncframes-video")

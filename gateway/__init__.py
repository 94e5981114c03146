"""Kitchen Gateway: reads a kitchen's sensors, decides locally, drives outputs safely, loses nothing."""

__version__ = "0.1.0"

"""A kitchen on the wire: parts that answer in bytes, physics behind them, faults on demand."""

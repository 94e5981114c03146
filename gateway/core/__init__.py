"""The words of the project. Standard library only; no I/O, no threads, no clock of its own."""

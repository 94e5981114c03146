"""The process that holds the pins and decides."""

"""The parts: each answers in bytes, with checksums and calibration computed from the datasheet's other side."""

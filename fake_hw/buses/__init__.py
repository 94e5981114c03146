"""The wires: what a device node, a pseudo-terminal or a sysfs file does, short of the parts themselves."""

"""Pure decoding that several parts share: checksummed words, register layouts, transmitter scaling. No I/O."""

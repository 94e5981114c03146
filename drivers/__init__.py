"""One file per part; the file name is the driver name in the configuration."""

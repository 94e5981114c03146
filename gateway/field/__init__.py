"""The process for devices that may hang or that live on the network."""

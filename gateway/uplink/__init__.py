"""The MQTT contract and the client that fulfils it; runs in the recorder."""

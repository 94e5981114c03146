"""The kitchen itself: heat, gas, air and people. Pure: `step(seconds)`; no clock, no I/O."""

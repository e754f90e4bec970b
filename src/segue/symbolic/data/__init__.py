"""From a folder of MIDI to examples."""

"""MIDI corpora that `segue data` knows, one file each."""

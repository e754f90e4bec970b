"""MidiGPT: infilling of MIDI with a GPT over REMI tokens."""

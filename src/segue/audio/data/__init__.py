"""From a folder of recordings to a memory-mapped cache of clips."""

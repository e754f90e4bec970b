"""What every part needs and no model knows: settings, seeds, files, statistics."""

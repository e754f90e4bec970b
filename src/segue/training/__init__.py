"""The training engine: Lightning's loop, a run folder that survives a kill, and its callbacks.

The engine owns time (steps, devices, precision, checkpoints); a task, which is a
``LightningModule``, owns the mathematics; a recipe owns the numbers. What the engine asks of a task:

* ``training_step`` returns ``{"loss": scalar, "metrics": {name: (sum, count)}, "tokens": count}``,
  sums and counts over all processes; the engine writes ``sum / count`` over the steps of a row.
* validation metrics are logged with ``self.log("val_...", value)`` once per validation.
"""

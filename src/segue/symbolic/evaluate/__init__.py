"""How good the infilling is, against honest baselines."""

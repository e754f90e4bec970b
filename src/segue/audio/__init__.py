"""LDMG: generates, varies, extends and repairs raw audio."""

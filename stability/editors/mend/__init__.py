"""MEND: a hypernetwork that turns gradients into changes."""

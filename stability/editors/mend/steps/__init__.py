"""The hypernetwork of MEND, its training, and the gradients that it reads."""

"""The judge's rates, simulated through its public path: stated against achieved."""

"""Kills runs, searches and guards at random moments, and goes on with each until it ends."""

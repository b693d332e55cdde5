"""The guard: edits as transactions inside a service that runs.

guard         what a service calls: apply, bisect, rewind
transactions  each batch of edits is kept if the suite holds, else rolled back
bisection     which edits of a refused batch did the harm
accepted      the values to go back to
journal       what was kept and refused, on the disk
editors       the editors in use, prepared, and taken back with the model
"""

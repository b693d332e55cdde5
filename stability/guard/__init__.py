"""The guard: edits as transactions inside a service that runs.

guard       each batch of edits is kept if the suite holds, else rolled back
accepted    the values to go back to          journal    what was kept and refused, on the disk
editors     the editors in use, prepared, and taken back with the model
"""

"""What the command line and pytest call by the same words: options that replace something in a suite."""

MODEL = "'world', a hub name or a folder, in place of the suite's."
EDITOR = "A name, package.module:attribute or ./file.py:edit, in place of the suite's; repeatable."
EDITS = "How many edits are made."
SEED = "Seeds, in place of the suite's; repeatable."
SETTING = "rome.layers=[17], run.edits.batch=10, …; repeatable."
STRICT = "Let a warning fail, too."
ISOLATION = (
    "process: each run in a process of its own (on Linux, with the model on the CPU), so that whatever ends "
    "or hangs it ends that run only; none: all in this process, as for a debugger."
)
OVERWRITE = "Replace the record of another run, or of one that did not finish."
RESUME = "Go on with what is in the folder and did not finish; with nothing there, begin."

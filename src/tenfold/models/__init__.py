"""Network definitions and their file format: what `train` writes and every other room reads.

Nothing is imported here, so that `import tenfold.models` never pays for torch; import the file you need
inside the function that needs it.
"""

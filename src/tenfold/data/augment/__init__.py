"""Augmentation: records made from records, each saying whose child it is. Knows no source and no file."""

"""Images: decoding, perceptual hashes, near-duplicates, augmentation. Knows records, no source and no file."""

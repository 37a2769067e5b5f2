"""What leaves the hub: shards for training, corpora, exports for others, and the cards that describe them."""
